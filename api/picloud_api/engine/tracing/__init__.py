"""Tracing: the spans of submits and jobs, if the server sends any."""
