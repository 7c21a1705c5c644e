"""The volumes of a job at their mount paths in a container, mounted from outside of it."""
