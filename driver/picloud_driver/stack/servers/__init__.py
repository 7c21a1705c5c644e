"""The servers of the HashiCorp stack on one machine: how each is started and made ready."""
