"""What callers may send: every field, every refusal, all of them at once."""
