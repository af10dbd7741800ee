"""The driver's types and failures, for rooms that handle a connection without importing the driver."""

import psycopg

Connection = psycopg.Connection
"""One connection, for a command or the start of a server."""

DatabaseError = psycopg.Error
"""Every failure that the driver reports: the database is lost, or it refuses a statement."""


def said(error: DatabaseError) -> str:
    """What the database or libpq says of a failure: one line, without the URL, values and the last dot."""
    first = error.diag.message_primary or str(error).strip().partition("\n")[0] or type(error).__name__
    return first.removesuffix(".")


def refusal(error: DatabaseError) -> str:
    """A failure as one sentence for the operator, without values."""
    return f"The database refuses: {said(error)}."
