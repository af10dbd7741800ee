"""The inputs of callers: every field, every reason to reject it, and all reasons at once."""
