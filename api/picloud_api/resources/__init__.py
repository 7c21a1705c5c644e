"""Resources: each reads a request, calls a use case and writes the reply; no rules here."""
