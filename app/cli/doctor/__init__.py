"""`synap doctor`: looks at an install without changing it."""
