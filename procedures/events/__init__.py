"""Logging, reading, following and erasing events."""
