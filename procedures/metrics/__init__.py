"""The server's own numbers, for its operator."""
