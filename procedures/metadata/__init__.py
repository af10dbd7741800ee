"""The kinds of typed metadata."""
