"""Thin wrappers over Linux: prctl, seccomp, procfs, users, memory."""
