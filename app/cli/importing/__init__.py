"""`synap import`: a file's lines become events."""
