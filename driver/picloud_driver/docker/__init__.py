"""Docker: its engine, asked over its socket, and who may speak with whom."""
