"""The worker's HTTP client to the API."""
