"""Docker: requests to its engine, and the firewall of its networks."""
