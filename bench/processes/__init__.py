"""What API processes do to each other: operations counted in each, by name."""
