"""S3: the one gateway to it."""
