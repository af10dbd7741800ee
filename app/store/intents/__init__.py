"""Intents: what callers and the server do with them, and how they are read."""
