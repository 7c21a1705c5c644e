"""People who sign in by a name and a password, and the accounts that they are members of."""
