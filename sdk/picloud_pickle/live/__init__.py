"""Objects that refer to a running process: weak references, data of a thread, handlers of logs."""
