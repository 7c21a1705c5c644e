"""Jobs that are reached by SSH: the files that OpenSSH needs, and setup machines."""
