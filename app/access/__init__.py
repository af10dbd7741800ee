"""How much a caller may have under way at once."""
