"""Arguments of calls of published functions: checked against types, and packed for jobs."""
