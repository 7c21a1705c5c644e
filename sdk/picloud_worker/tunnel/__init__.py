"""Streams from a gateway to the ports of jobs that run in this slot."""
