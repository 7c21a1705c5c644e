"""The pages on what is paid for: usage, and reserved cores."""
