"""Ports and their adapters. Vendors are named below this package and nowhere else."""
