"""Modules that scripts for the original client import by name; nothing else imports them.

The directory is part of `cloud.__path__`, so `_compat/pool_interface.py` is `cloud.pool_interface`.
Each module is as thin as it can be and is loaded only when a script asks for it.
"""
