"""What the server can do."""
