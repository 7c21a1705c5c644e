"""What jobs and programs have in common while they run: locks, and what keeps them."""
