"""The processes of one machine: gunicorn worker, account affinity, connection handoff."""
