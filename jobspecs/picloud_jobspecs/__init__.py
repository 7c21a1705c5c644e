"""Jobspecs: HCL that Nomad reads, and the values of its variables."""
