"""Queues: their messages, and the handlers that are attached to them."""
