"""What the server does without a request: `loops` lists it."""
