"""Instances and classes that the ordinary way would make wrong."""
