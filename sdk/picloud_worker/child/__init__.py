"""Runs user code. The only room of the worker that unpickles."""
