"""What a job may change in its process, and how that is undone before the next job."""
