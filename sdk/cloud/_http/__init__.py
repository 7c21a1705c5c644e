"""HTTP: connections, requests and retries."""
