"""Notebooks: the job that runs JupyterLab, and how its owner reaches it."""
