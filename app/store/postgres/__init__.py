"""Connections to PostgreSQL, and the embedded PostgreSQL server."""
