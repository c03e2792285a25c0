"""Alpine's releases, signed package indexes and security data, as its site and the mirrors have them now."""
