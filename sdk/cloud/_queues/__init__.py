"""Handlers of queues: how they are attached, and what runs in their jobs."""
