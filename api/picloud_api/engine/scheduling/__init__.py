"""Which jobs a slot runs next, and how many slots there are."""
