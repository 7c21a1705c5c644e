"""Jobs as the client sees them: submitting, waiting, results, info."""
