"""Answers to "what is sent?" and "why did it fail?": explanations of calls, and replays of jobs."""
