"""Making servers that run already ready for the platform: first looked at, then changed."""
