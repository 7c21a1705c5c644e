"""Drawings and tables that pages contain, computed from values of the use cases."""
