"""How much callers may have under way at once, and how often they may call."""
