"""Answers the calls of a socket whose caller is rejected."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.surfaces.trpc.frames import MalformedFrameError, Message, messages_of
from app.surfaces.trpc.transformer import Transformer

Read = Callable[[], Awaitable[bytes | None]]
"""The next frame; None when the client has gone."""

ErrorOf = Callable[[str | None], bytes]
"""The error of a call by its path, before the transformer."""


async def refuse_calls(
    read: Read,
    send: Callable[[bytes], Awaitable[None]],
    error: ErrorOf,
    transformer: Transformer,
    *,
    max_calls: int,
    max_messages: int,
) -> None:
    """Answer the calls that arrive, at most `max_calls`; drop later frames. Returns when the client leaves.

    Later frames are still read: if we closed before, the client's system would discard the last answers. A frame of
    more than `max_messages` raises CrowdedFrameError.
    """
    left = max_calls
    while (text := await read()) is not None:
        if left <= 0:
            continue
        messages: list[Message] = []
        with suppress(MalformedFrameError):  # for example `connectionParams` that came too late
            messages = messages_of(text, transformer, max_messages)
        for message in messages[:left]:
            if message.kind is not None:
                await send(b'%b,"error":%b}' % (message.start, transformer.error(error(message.path))))
        left -= max(len(messages), 1)
