# What the API may do in Consul: use its own keys, and hold locks.
key_prefix "picloud/" { policy = "write" }
session_prefix "" { policy = "write" }
