"""Jobs that wait for other jobs: recording, evaluating and releasing dependencies."""
