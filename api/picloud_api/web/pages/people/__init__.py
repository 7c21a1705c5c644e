"""Pages about the people who use an account."""
