"""What `picloud env` is made of besides its command module: setup machines, and what changed."""
