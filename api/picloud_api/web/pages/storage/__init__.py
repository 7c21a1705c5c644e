"""The pages of what an account stores: its bucket, and its volumes."""
