"""How API processes affect each other: operations counted in each, by name."""
