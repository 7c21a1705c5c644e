"""What one API process keeps in memory: ready batches, slot sessions, run times, watches."""
