"""What `picloud up` and `picloud down` do on this machine."""
