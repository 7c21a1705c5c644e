"""What accounts use without paying: grants, free core hours, and statements of months."""
