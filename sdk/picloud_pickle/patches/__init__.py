"""What a program has changed in modules that it imports: found here, made in its jobs, undone."""
