"""The driver's types and failures, for rooms that handle a connection without importing the driver."""

import psycopg

Connection = psycopg.Connection
"""A connection for a command, or for the start of a server."""

DatabaseError = psycopg.Error
"""The base class of all failures that the driver reports: the database is lost, or it rejects a statement."""


def said(error: DatabaseError) -> str:
    """The message of the database or of libpq: one line, without the URL, values and the final full stop."""
    first = error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
    return first.removesuffix(".")


def refusal(error: DatabaseError) -> str:
    """A failure as one sentence for the operator, without values."""
    return f"The database refuses: {said(error)}."
