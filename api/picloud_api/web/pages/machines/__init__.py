"""The pages on machines that run as jobs."""
