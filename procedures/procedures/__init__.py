"""The procedures of the server, with their schemas."""
