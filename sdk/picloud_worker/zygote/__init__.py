"""The fork server that children are forked from, and its client."""
