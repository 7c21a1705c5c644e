"""`cloud.serialization`: where the original client kept its pickling."""
