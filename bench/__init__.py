"""Measures the project and its peers, in one run on one machine: `make bench`."""
