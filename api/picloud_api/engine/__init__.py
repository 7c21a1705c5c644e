"""The machinery under the use cases: scheduling, dependencies, job state, process memory."""
