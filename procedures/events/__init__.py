"""Logging events and reading them back."""
