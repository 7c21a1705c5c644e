"""The bucket of an account as a file system, in a process of its own outside of the jobs' reach."""
