"""The `picloud` command: arguments in, `cloud` called, text out."""
