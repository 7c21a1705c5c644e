"""Reading and changing the state of jobs: locating, finishing, waiting, live queries."""
