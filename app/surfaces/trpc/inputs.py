"""The inputs of a tRPC request over HTTP: each call waits for its own, and only if it is allowed to run."""

import asyncio
from collections.abc import Mapping, Sequence

from app.capacity.parsing import parse
from app.surfaces.shared.body import Body
from app.surfaces.trpc.request import Request, batch_inputs, resumed
from app.surfaces.trpc.transformer import Transformer
from procedures.procedure import Procedure
from schemas.errors import ProcedureError


class Inputs:
    """What a request has for its calls, in its URL or, where there is a `body`, there."""

    def __init__(self, request: Request, body: Body | None) -> None:
        self._request = request
        self._body = body
        self._one_reads = asyncio.Lock()
        self._by_index: Mapping[str, bytes] | ProcedureError | None = None

    async def of(self, index: int) -> bytes | None:
        """The input of one call; None for none. Raises InvalidInput, and as `Body.json`."""
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
        """The inputs of a batch by their index as text, or what is wrong with all of them."""
        try:
            content = await self._content()
            return await parse(len(content or b""), batch_inputs, content)
        except ProcedureError as error:
            return error


class CallInput:
    """The input of one call: `arrive` waits for it, `read` returns the JSON of it that the caller meant."""

    def __init__(
        self, inputs: Inputs, index: int, procedure: Procedure, transformer: Transformer, resume: str | None = None
    ) -> None:
        """`resume` is behind which event a stream goes on."""
        self._inputs = inputs
        self._index = index
        self._procedure = procedure
        self._transformer = transformer
        self._resume = resume
        self._sent: bytes | ProcedureError | None = None

    async def arrive(self) -> int:
        """Wait for it. Returns its bytes as they were sent. What is wrong with it `read` raises."""
        try:
            self._sent = await self._inputs.of(self._index)
        except ProcedureError as error:
            self._sent = error
        return len(self._sent) if isinstance(self._sent, bytes) else 0

    def read(self) -> bytes | None:
        """None for no input. Raises InvalidInput, and as `Inputs.of`."""
        if isinstance(self._sent, ProcedureError):
            raise self._sent
        sent = None if self._sent is None else self._transformer.input(self._sent, self._procedure.input)
        return resumed(sent, self._resume)


def body_bytes(called: Sequence[Procedure], max_body_bytes: int) -> int:
    """How large the body of a request may be that calls these procedures."""
    return min(sum(procedure.max_input_bytes(max_body_bytes) for procedure in called), max_body_bytes)
