"""The kinds of typed metadata, with their schemas."""
