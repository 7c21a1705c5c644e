"""Resources: HTTP in, a usecase called, HTTP out; no rules here."""
