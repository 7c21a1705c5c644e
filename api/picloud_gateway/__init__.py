"""The gateway: carries TCP streams between clients and the ports of jobs."""
