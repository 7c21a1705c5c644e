"""NATS: its connection, its errors, and what the queues need of JetStream."""
