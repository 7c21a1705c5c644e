"""What comes back from jobs: the code that results need, and the tracebacks of exceptions."""
