"""Alpine's package indexes: fetched, their signatures verified, and which versions they offer."""
