"""Where the time of one call goes: the share of each hop, and how fast such a hop can be."""
