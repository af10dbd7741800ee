"""The server's own figures."""
