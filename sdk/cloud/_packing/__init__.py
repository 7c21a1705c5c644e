"""Packing: functions, arguments and the user's own modules, made ready to travel."""
