"""Installs the server on a machine: the environment in `.venv`, and the locks that pin its packages."""
