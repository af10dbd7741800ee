"""How much callers may do at once, and how often they may call."""
