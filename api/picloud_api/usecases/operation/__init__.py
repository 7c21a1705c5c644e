"""Operation: what those who run the server look at."""
