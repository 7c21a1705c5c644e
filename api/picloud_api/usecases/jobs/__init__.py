"""What clients request of jobs: submit, status, wait, kill, delete, list, info."""
