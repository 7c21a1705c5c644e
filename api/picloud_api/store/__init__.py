"""The store: typed records over the state port, a view of them, and group commit."""
