"""The texts of the API document that no docstring has."""

import re
import sys
from collections.abc import Mapping
from inspect import getdoc

from app.contract.operation import published
from app.contract.schema import Schema
from app.surfaces.openapi.examples import UUID
from app.surfaces.openapi.parts import Header, Parameter, Verbatim, parameter
from procedures.procedure import Procedure

DOORS = {
    "publish": "Publish and query events, and manage webhooks, over plain HTTP. Calls have rate limits.",
    "browse": "A workspace's events, page by page, in any order.",
    "ledger": "Events in the form that anyone can verify, exports, proofs and the audit. `GET {ledger}/stream` is a "
    "WebSocket: each message is one event as in `GET {ledger}/events`, as JSON and a newline. Its parameters are "
    "`after` (the last seq that the reader has), `type`, `filter` and `log`, and `token` if no header can be set.",
    "service": "Whether the process is alive, whether it can serve, and its counts. Only `/metrics` needs a key, "
    "unless the call comes from the server's own machine.",
}
"""The tags of the REST doors, in the order in which they are shown. Each namespace of tRPC has one too."""

DESCRIPTION = """\
An append-only event log that can prove that nothing in it was altered.

Every call needs a key: `Authorization: Bearer <token>`. Each operation lists the scope that the key needs. A call acts
in the workspace that it names; the default is the key's first. Every answer has an `X-Request-Id`: the id that the
caller sent, or a new one. The server's log has the same id.

The server answers a URL of more than 64 KiB with 414, without content."""

TRPC = """

`/llms.txt` leads a program from its first event to an act that a person approved.

Every procedure is also an operation over tRPC; the tags `trpc.…` list them by namespace. The TypeScript contract is at
`/trpc/contract.ts`. A query is sent by POST, or by GET with its input as JSON in `input`. One request may have several
calls (`?batch=1`, names separated by commas), and a WebSocket at `/trpc` carries every procedure. Any other method
returns 405, and `Allow` names the accepted ones."""
"""The additional description if procedures are served."""

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _header(description: str, schema: Schema, example: object, *, required: bool = False) -> Header:
    return Header(schema=Verbatim(json=schema), description=description, example=example, required=required)


ANSWER_HEADERS = {
    "x-request-id": _header(
        "The id of the call. The server's log has the same id.",
        _TEXT,
        "019ab2c0-5b7e-7c1a-9d57-3f6b1c2d4e5f",
        required=True,
    ),
    "retry-after": _header("How many seconds to wait before a retry.", _COUNT, 1, required=True),
    "x-ratelimit-limit": _header(
        "The maximum of calls a minute, or of webhooks, for the workspace or the key.", _COUNT, 1000
    ),
    "x-ratelimit-remaining": _header("How many of them are left.", _COUNT, 742),
    "x-ratelimit-reset": _header("When the count starts again, in seconds since 1970.", _COUNT, 1705316400),
    "content-disposition": _header(
        "The file name of the download.",
        _TEXT,
        'attachment; filename="default-exp_019ab2c05b7e7c1a9d573f6b1c2d4e5f.json"',
        required=True,
    ),
}

LIMITS = [name for name in ANSWER_HEADERS if name.startswith("x-ratelimit-")]


def _sent(name: str, description: str, schema: Schema, example: object) -> Parameter:
    return parameter(name, "header", description, schema, Verbatim(json=example), required=False)


REQUEST_HEADERS = {
    sent.name: sent
    for sent in (
        _sent(
            "X-Workspace-Id",
            "The workspace in which the call acts, if nothing else in the call names one. Default: the key's first.",
            _TEXT,
            "default",
        ),
        _sent(
            "X-Request-Id",
            "Your own id for the call: up to 128 letters, digits and `._:/+=-`. The server replaces any other text.",
            _TEXT,
            "req-42",
        ),
        _sent(
            "Idempotency-Key",
            "Makes a retry safe: an API key stores one event per idempotency key.",
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*$"},
            "run-gh-001",
        ),
        _sent("Last-Event-ID", "The id of the last event that was received. The stream resumes after it.", _TEXT, UUID),
    )
}

EVERY_CALLS_HEADERS = ("X-Workspace-Id", "X-Request-Id")


def namespace(name: str) -> str:
    """The tag of a procedure."""
    return f"trpc.{name.partition('.')[0]}"


def namespaces(procedures: Mapping[str, Procedure]) -> dict[str, str]:
    """The tags of procedures, each with the docstring of the package that has them."""
    return {namespace(name): _package_text(procedure) for name, procedure in procedures.items()}


def _package_text(procedure: Procedure) -> str:
    package = procedure.run.__module__.rpartition(".")[0]
    ours = package.startswith("procedures.")
    return (ours and getdoc(sys.modules[package])) or "Procedures of an extension."


def described(docstring: str) -> tuple[str, str | None]:
    """The summary and, if it says more, the description of an operation.

    The summary is the first line of the docstring without its full stop. Failures have their codes, not our classes.
    """
    whole = _SECTION.sub("", published(docstring))
    summary, _, rest = whole.partition("\n")
    return summary.removesuffix("."), whole if rest.strip() else None


_SECTION = re.compile(r" \(section [^)]*\)")
