"""The pipeline that every door shares: check permission, read the input, run the procedure, report failures."""

import re
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from app.access.refusals import Refused
from app.capacity.answers import begin
from app.capacity.parsing import parse
from app.contract.operation import Kind
from app.ledger.chain import NODE_LOG
from app.telemetry import tracing
from app.telemetry.metrics import CALL_SECONDS, CALLS
from app.telemetry.tracing import OpenSpan
from procedures.context import Context
from procedures.procedure import SMALL_INPUT_BYTES, Procedure, Sent, Stream
from schemas.errors import (
    Forbidden,
    Internal,
    InvalidInput,
    Issue,
    NotFound,
    PayloadTooLarge,
    ProcedureError,
    TimedOut,
    Unavailable,
    UnsupportedMedia,
)
from schemas.issues import decoded
from schemas.principal import holds_token, lacking

SLOW_SECONDS = 1.0
"""The server logs calls that take longer, unless they wait on purpose."""

NO_INPUT = "an input is required: send it as JSON, in the body of a POST or as `input` in the URL of a GET"

FAULTS = {Internal.code, Unavailable.code}
"""The errors that are the server's fault, not the caller's."""

UNKNOWN = "(unknown)"
"""What the log calls a procedure whose name could hold a part of a payload, or a token."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}|\([a-z]+\)")
"""The names of procedures and of tools; of the server's own names, those in brackets."""

logger = structlog.get_logger("synap.calls")


Arrive = Callable[[], Awaitable[int]]
"""Waits until an input has arrived and returns its size in bytes. It raises nothing; `read` raises the faults."""


async def call(
    procedure: Procedure, context: Context, read: Callable[[], Any], *, size: int = 0, arrive: Arrive | None = None
) -> Any:
    """Run one call. `read` returns its input as JSON bytes or as an Input, or None if there is no input.

    The input has `size` bytes; if it is still arriving, `arrive` returns the size. Both run only after the permission
    check and the rate limit. Raises the errors that the procedure declares; any other becomes Internal, and its cause
    is logged. Logs one line, without the input, for a failed, slow or administrative call, or for every call if so set.
    """
    started = time.perf_counter()
    error: ProcedureError | None = None
    code = "cancelled"  # stays so if the caller leaves before the end
    take = _sent if procedure.takes_sent else _input
    span = _span(procedure, context) if tracing.is_on() else None
    try:
        _refuse_unpermitted(procedure, context)
        context.services.rates.take(procedure.rate, context.principal.key_id)
        if arrive is not None:
            size = await arrive()
            started = time.perf_counter()  # the time that the client took to send is not the server's
        _refuse_large(procedure, size)
        value = await parse(size, take, procedure, read, context)
        await begin(context.workspace, size if procedure.kind is Kind.MUTATION else 0)  # a mutation returns its input
        answer = await procedure.run(value, context)
        code = "ok"
        return answer
    except Exception as failed:
        error = _told(procedure, context, failed)
        code = error.code
        if error is failed:
            raise
        raise error from failed
    finally:
        elapsed = time.perf_counter() - started
        CALLS.add(procedure.name, procedure.kind, code)
        if not procedure.waits:
            CALL_SECONDS.observe(elapsed, procedure.name)
        if span is not None:
            span.end({"synap.code": code}, failed=code in FAULTS)
        noted = procedure.is_administrative or context.services.log_calls
        if error is not None:
            error.logged = True
            if procedure.is_audited and code not in FAULTS:
                refused = Refused(context.principal.key_id, procedure.name, context.workspace)
                context.services.refusals.count(refused, code)
        if noted or error is not None or (elapsed > SLOW_SECONDS and not procedure.waits):
            log_call(procedure.name, context.request_id, elapsed, None if error is None else error.code, context)
        error = None  # otherwise the error and this frame keep each other, and the input, in memory


async def next_batch(procedure: Procedure, context: Context, stream: Stream[Any, Any]) -> list[Any] | None:
    """The next batch of a stream that `call` returned; None when the stream ends by itself. Raises as `call` does."""
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None
    except Exception as failed:
        error = _told(procedure, context, failed)
        log_call(procedure.name, context.request_id, 0.0, error.code, context)
        if error is failed:
            raise
        raise error from failed


def lacks_scope(procedure: Procedure) -> Forbidden:
    """The error for a caller whose key may not call the procedure."""
    return lacking(procedure.scope)


def _refuse_unpermitted(procedure: Procedure, context: Context) -> None:
    if not context.principal.may_call(procedure.scope):
        raise lacks_scope(procedure)
    if context.workspace == NODE_LOG and not procedure.reads_node_log:
        raise NotFound("There is no such workspace", field="workspace")


def _refuse_large(procedure: Procedure, size: int) -> None:
    if size > SMALL_INPUT_BYTES and not procedure.large_input:
        raise PayloadTooLarge(f"The input of {procedure.name} exceeds {SMALL_INPUT_BYTES} bytes")


def _span(procedure: Procedure, context: Context) -> OpenSpan | None:
    attributes = {
        "rpc.system.name": "synap",
        "rpc.method": procedure.name,
        "synap.workspace": context.workspace,
        "synap.key_id": context.principal.key_id,
        "synap.request_id": context.request_id,
    }
    return tracing.begin(procedure.name, "server", attributes, traceparent=context.traceparent)


def log_call(
    name: str, request_id: str, elapsed_seconds: float, error: str | None, context: Context | None = None
) -> None:
    """Log one line about one call. `error` is a code, because a message may repeat what the caller sent.

    `name` may be what a caller sent in place of a procedure's name, such as a whole query in a path.
    """
    logger.log(
        30 if error is not None else 20,
        "call",
        procedure=name if _NAME.fullmatch(name) and not holds_token(name) else UNKNOWN,
        request_id=request_id,
        principal=context.principal.key_id if context else None,
        workspace=context.workspace if context else None,
        elapsed_ms=round(elapsed_seconds * 1000, 1),
        error=error,
    )


def _told(procedure: Procedure, context: Context, failed: Exception) -> ProcedureError:
    """The error that the caller gets: the failure itself if the procedure declares it, otherwise Internal."""
    if isinstance(failed, ProcedureError) and isinstance(
        failed, (*procedure.errors, Forbidden, NotFound, UnsupportedMedia, TimedOut)
    ):
        return failed
    log_defect(procedure.name, context.request_id, failed)
    return Internal()


def is_logged(error: BaseException | None) -> bool:
    """Whether the log has a line about an error or its cause."""
    return isinstance(error, ProcedureError) and (error.logged or is_logged(error.__cause__))


def log_defect(name: str, request_id: str, defect: BaseException) -> None:
    """Log one line about an unexpected failure: where it happened, and the SQLSTATE if the database raised it.

    The line omits the message, because a library's message may quote what a caller sent.
    """
    logger.error(
        "defect",
        procedure=name,
        request_id=request_id,
        defect=type(defect).__name__,
        sqlstate=getattr(defect, "sqlstate", None),
        at=[f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(defect.__traceback__)],
    )


def _input(procedure: Procedure, read: Callable[[], Any], context: Context) -> Any:
    """The procedure's input. Raises InvalidInput with every invalid place, PayloadTooLarge."""
    source = read()
    value = _value(procedure, source, context)
    _refuse_oversized(procedure, source, context)
    return value


def _sent(procedure: Procedure, read: Callable[[], Any], context: Context) -> Sent[Any]:
    """The procedure's input, even if it is invalid: `errors` then says why."""
    source, value = b"", None
    errors: list[InvalidInput | PayloadTooLarge] = []
    try:
        source = read()
        value = _value(procedure, source, context)
    except (InvalidInput, PayloadTooLarge) as error:
        errors.append(error)
    try:
        _refuse_oversized(procedure, source, context)
    except PayloadTooLarge as error:
        errors.append(error)
    return Sent(source if isinstance(source, bytes) else b"", value, errors)


def _value(procedure: Procedure, source: Any, context: Context) -> Any:
    if source is None:
        if not procedure.optional:
            raise InvalidInput([Issue("", NO_INPUT)])
        return procedure.input()
    if not isinstance(source, bytes):
        return source
    return decoded(source, procedure.decoder, context.services.drafting.metadata)


def _refuse_oversized(procedure: Procedure, source: Any, context: Context) -> None:
    if not isinstance(source, bytes):
        return
    max_bytes = context.services.max_event_bytes
    if (path := procedure.input.oversized(source, max_bytes)) is not None:
        raise PayloadTooLarge(
            f"Event payload exceeds {max_bytes} bytes; split it, or keep large content elsewhere", field=path or None
        )
