"""The inputs of a tRPC request over HTTP. Each call waits for its own, only if it is allowed to run."""

import asyncio
from collections.abc import Mapping, Sequence

from app.capacity.parsing import parse
from app.surfaces.shared.body import Body
from app.surfaces.trpc.request import Request, batch_inputs, resumed
from app.surfaces.trpc.transformer import Transformer
from procedures.procedure import Procedure
from schemas.errors import ProcedureError


class Inputs:
    """The inputs of a request's calls, from its `body` or, if there is none, from its URL."""

    def __init__(self, request: Request, body: Body | None) -> None:
        self._request = request
        self._body = body
        self._one_reads = asyncio.Lock()
        self._by_index: Mapping[str, bytes] | ProcedureError | None = None

    async def of(self, index: int) -> bytes | None:
        """The input of one call, or None. Raises InvalidInput, and the errors of `Body.json`."""
        if not self._request.batch:
            return await self._content()
        async with self._one_reads:
            if self._by_index is None:
                self._by_index = await self._split()
        if isinstance(self._by_index, ProcedureError):
            raise self._by_index
        return self._by_index.get(str(index))

    async def _content(self) -> bytes | None:
        return self._request.input if self._body is None else await self._body.json()

    async def _split(self) -> Mapping[str, bytes] | ProcedureError:
        """The inputs of a batch by index as text, or the error for all of them."""
        try:
            content = await self._content()
            return await parse(len(content or b""), batch_inputs, content)
        except ProcedureError as error:
            return error


class CallInput:
    """The input of one call. `arrive` waits for it; `read` returns its JSON without the transformer's envelope."""

    def __init__(
        self, inputs: Inputs, index: int, procedure: Procedure, transformer: Transformer, resume: str | None = None
    ) -> None:
        """`resume` is the id of the event after which a stream resumes."""
        self._inputs = inputs
        self._index = index
        self._procedure = procedure
        self._transformer = transformer
        self._resume = resume
        self._sent: bytes | ProcedureError | None = None

    async def arrive(self) -> int:
        """Wait for the input and return its size in bytes as sent. `read` raises its errors."""
        try:
            self._sent = await self._inputs.of(self._index)
        except ProcedureError as error:
            self._sent = error
        return len(self._sent) if isinstance(self._sent, bytes) else 0

    def read(self) -> bytes | None:
        """The input, or None. Raises InvalidInput, and the errors of `Inputs.of`."""
        if isinstance(self._sent, ProcedureError):
            raise self._sent
        sent = None if self._sent is None else self._transformer.input(self._sent, self._procedure.input)
        return resumed(sent, self._resume)


def body_bytes(called: Sequence[Procedure], max_body_bytes: int) -> int:
    """The maximum size of the body of a request that calls these procedures."""
    return min(sum(procedure.max_input_bytes(max_body_bytes) for procedure in called), max_body_bytes)
