"""Intents: somebody asks, somebody else decides, and what runs is what was approved."""
