"""The client's half of a server resource, one module each."""
