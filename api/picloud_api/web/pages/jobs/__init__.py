"""The pages of jobs: the dashboard, a map, a job and its profile."""
