"""What users pass: jids, options, arguments and commands, read and checked before any request."""
