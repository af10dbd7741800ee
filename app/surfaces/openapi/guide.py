"""`/llms.txt` (llmstxt.org): what a program that knows nothing of this server reads first.

It tells what there is, and a story that can be followed command by command: from a first event to an act that a person
has approved, and to its receipt.
"""

from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, get

from app.surfaces.shared.requests import asked_address

WRITTEN_FOR = "http://127.0.0.1:8000"
"""The address of the server in the text, which becomes the one that was asked."""

HEADERS = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}


@cache
def guide() -> str:
    """The text."""
    return Path(__file__).with_name("llms.txt").read_text("utf-8")


@get("/llms.txt", sync_to_thread=True)
def llms(request: Request[Any, Any, Any]) -> Response[str]:
    """The text, with commands that call the address that was asked."""
    address = asked_address(request.url.scheme, request.headers) or WRITTEN_FOR
    return Response(guide().replace(WRITTEN_FOR, address), media_type="text/plain; charset=utf-8", headers=HEADERS)
