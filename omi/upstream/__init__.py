"""Alpine's releases and signed package indexes, as upstream's site and the mirrors have them now."""
