"""A server's life: made ready, composed, forked, ended."""
