"""What brings the server onto a machine: the environment in `.venv`, and the locks that say what is in it."""
