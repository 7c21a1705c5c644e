"""Endpoints: functions and what else is published, as the server learns of them."""
