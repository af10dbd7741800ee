"""Helpers that remove events from a log, and run verifiers on it."""

import os
import subprocess

import psycopg

from tests.kit.command import synap
from tests.store.opened import Store

MOVE_TIP = """
UPDATE event_tip SET (seq, hash, recorded_at) = (
    SELECT seq, hash, recorded_at FROM event WHERE workspace_id = 'default' ORDER BY seq DESC LIMIT 1)
WHERE workspace_id = 'default'
"""


def tamper(store: Store, *statements: str) -> None:
    """Change the database as an administrator can, with its triggers off."""
    with psycopg.connect(store.url) as connection:
        for table in ("event", "audit_entry"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(statement)


def bundle(store: Store, log: str = "default") -> bytes:
    """The export of a log."""

    async def made() -> bytes:
        export = await store.exports().open(log, None, None)
        return b"".join([piece async for piece in export])

    text: bytes = store.run(made())
    return text


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command `synap`."""
    return synap(*arguments, env=os.environ | variables)


def javascript(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `verify.mjs`."""
    command = ("node", "clients/verify/verify.mjs", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
