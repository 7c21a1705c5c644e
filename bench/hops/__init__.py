"""Where the time of one call goes: each hop's share, and how fast such a hop can be at all."""
