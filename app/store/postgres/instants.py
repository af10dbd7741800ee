"""Instants as text, written by the database."""

INSTANT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""A template of SQL that prints a column as an instant."""
