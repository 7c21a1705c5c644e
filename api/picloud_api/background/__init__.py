"""What the server does without being asked: `loops` lists it."""
