"""The pure half: canonical bytes, the chain, the key."""
