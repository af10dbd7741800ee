"""Sends an export to a client.

If a client leaves, Litestar's own streams leave some megabytes of pieces to the garbage collector, and they do not
report a stream that breaks.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar.types import Receive, Scope, Send
from msgspec import Struct

from app.capacity.answers import request
from app.surfaces.shared.body import disconnected
from app.surfaces.shared.sending import SEND_SECONDS, SlowClientError, send_parts
from procedures.call import log_call
from procedures.context import Context
from procedures.procedure import Procedure
from schemas.errors import Internal, ProcedureError


class Download(Struct, frozen=True, kw_only=True):
    """An answer in pieces, as an ASGI application for one request.

    The reader sets the pace, until it leaves or takes longer than `stalled_seconds` for a piece. An error in the middle
    breaks the connection, so that no client takes a part for the whole. The error is logged.
    """

    procedure: Procedure
    context: Context
    headers: list[tuple[bytes, bytes]]
    pieces: AsyncGenerator[bytes, None]
    stalled_seconds: float = SEND_SECONDS

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(disconnected(receive))
        leaving.add_done_callback(lambda _: sending.cancel())
        try:
            await asyncio.wait([sending])
        finally:
            sending.cancel()
            leaving.cancel()
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        started = time.perf_counter()
        if (held := request()) is not None:
            held.waits = True
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            async with aclosing(self.pieces) as pieces:
                async for piece in pieces:
                    await send_parts(send, [piece], more=True, seconds=self.stalled_seconds)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except SlowClientError:
            raise  # the edge logs it
        except Exception as error:
            code = error.code if isinstance(error, ProcedureError) else Internal.code
            elapsed = time.perf_counter() - started
            log_call(self.procedure.name, self.context.request_id, elapsed, code, self.context)
            raise
