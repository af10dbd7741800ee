"""The life of a server: it is installed, composed, forked and stopped."""
