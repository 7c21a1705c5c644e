"""The blobs and bundles of a slot: fetched once and kept, and uploads of what is large."""
