"""Use cases: what clients and slots request, free of HTTP and of vendors."""
