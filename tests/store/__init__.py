"""The log and its readers on a real PostgreSQL."""
