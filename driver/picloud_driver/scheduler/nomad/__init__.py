"""The scheduler of the HashiCorp stack: slots are allocations of Nomad."""
