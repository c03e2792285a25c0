"""Alpine's package indexes: fetched, their signatures verified, and what apk would install from them worked out."""
