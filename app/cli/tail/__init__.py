"""`synap tail`: follows the log of a server."""
