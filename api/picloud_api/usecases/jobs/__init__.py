"""What a client may ask about jobs: submit, status, wait, kill, delete, list, info."""
