"""The web pages of a server: HTML made from templates, over the same use cases as `/v1`."""
