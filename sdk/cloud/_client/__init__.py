"""The client: the object that talks to a server, and the one that is in use."""
