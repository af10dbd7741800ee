"""Writing tRPC's envelopes: results and errors as bytes, for single calls, batches and JSON lines."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from app.surfaces.shared.statuses import Status, headers_of, status_of
from app.surfaces.trpc.transformer import Transformer
from procedures.procedure import Procedure
from schemas.base import Marker
from schemas.errors import Conflict, InvalidInput, ProcedureError, RateLimited, Unavailable
from schemas.written import Tracked


class Answer(Struct, frozen=True, kw_only=True):
    """The result of one call: an output and its type, or an error object."""

    http: int = 200
    output: Any = None
    kind: Any = None
    error: bytes | None = None
    headers: Mapping[str, str] = {}
    """The headers of this call's answer."""

    def envelope(self, transformer: Transformer) -> list[bytes]:
        """The JSON of one call, in parts."""
        if self.error is not None:
            return [b'{"error":%b}' % transformer.error(self.error)]
        return [b'{"result":{"data":', *transformer.parts(self.output, self.kind), b"}}"]

    def chunk(self, index: int, transformer: Transformer) -> list[bytes]:
        """The line of a streamed batch that resolves call `index` (`docs/api/wire.md`, section 6), in parts."""
        if self.error is not None:
            before, after = b'[%d,0,[[{"error":' % index, b"}]]]"
            return [*transformer.parts(msgspec.Raw(self.error), None, before, after), b"\n"]
        before, after = b'[%d,0,[[{"result":{"data":' % index, b"}}]]]"
        return [*transformer.parts(self.output, self.kind, before, after, "2.0.0.result.data"), b"\n"]


def stream_head(calls: int, transformer: Transformer) -> bytes:
    """The first line of a streamed batch: a promise for each call."""
    head = {str(index): [[0], [None, 0, index]] for index in range(calls)}
    return b"".join([*transformer.parts(head, None), b"\n"])


def event(name: str, data: bytes, id: str | None = None) -> bytes:
    """A server-sent event. `data` is one line, present even if empty: without it, clients drop the event."""
    return b"event: %b\ndata: %b\n%b\n" % (name.encode(), data, b"" if id is None else b"id: %b\n" % id.encode())


def message(item: Tracked[Any] | Marker, procedure: Procedure, transformer: Transformer) -> bytes:
    """A value of a subscription as server-sent events (`docs/api/wire.md`, section 7)."""
    if isinstance(item, Tracked):
        if item.over_sse is None:
            data = b"".join(transformer.parts(item, procedure.output))
            item.over_sse = b"data: %b\nid: %b\n\n" % (data, item.id.encode())
        return item.over_sse
    # A marker has no id of its own, so a second event restores the id to resume after.
    return b"data: %b\nid: \n\n%b" % (
        b"".join(transformer.parts(item, procedure.marker)),
        event("restore-id", b"", item.cursor),
    )


def frame(item: Tracked[Any] | Marker, procedure: Procedure, transformer: Transformer) -> bytes:
    """A value of a subscription as the `result` of a WebSocket message (`docs/api/wire.md`, section 8)."""
    if isinstance(item, Tracked):
        if item.over_socket is None:
            id_ = item.id.encode()
            data = transformer.parts(item, procedure.output, b'{"id":"%b","data":' % id_, b"}", "data")
            item.over_socket = b'{"type":"data","data":%b,"id":"%b"}' % (b"".join(data), id_)
        return item.over_socket
    # The client remembers the id of the last message, tracked or not, and passes on the data unchanged.
    return b'{"type":"data","data":%b,"id":"%b"}' % (
        b"".join(transformer.parts(item, procedure.marker)),
        item.cursor.encode(),
    )


def failure(error: ProcedureError, path: str | None) -> Answer:
    """The answer of a call that failed. Without a path the error is about the caller."""
    status = status_of(error)
    data: dict[str, object] = {"reason": error.code}
    if isinstance(error, InvalidInput):
        data["reason"] = error.reason
        data["issues"] = [{"path": issue.path, "message": issue.message} for issue in error.issues]
    elif isinstance(error, Conflict) and error.hash is not None:
        data["hash"] = error.hash
    elif isinstance(error, Unavailable | RateLimited):
        data["retryAfterSeconds"] = error.retry_after_seconds
    if isinstance(error, Unavailable) and error.ids:
        data["ids"] = error.ids
    return Answer(
        http=status.http,
        error=error_object(status, error.message, path, **data),
        headers=headers_of(error),
    )


def error_object(status: Status, message: str, path: str | None = None, **more: object) -> bytes:
    """`{message, code, data}`. Without a path the error is about the whole request."""
    data: dict[str, object] = {"code": status.name, "httpStatus": status.http}
    if path is not None:
        data["path"] = path
    return msgspec.json.encode({"message": message, "code": status.number, "data": data | more})
