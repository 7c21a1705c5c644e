"""The client: one object per process that talks to a server."""
