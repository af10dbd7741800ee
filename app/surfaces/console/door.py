"""The console at `/console`: files that the package contains, and nothing from elsewhere.

The sources are in `console/`. The page calls the tRPC door with the key that a person signs in with, so these files
need none. All its addresses are relative: it works below any path of a proxy.
"""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.exceptions import NotFoundException
from msgspec import Struct

from app.surfaces.shared.accept import named_quality
from app.surfaces.shared.requests import header_map

STATIC = Path(__file__).parent / "static"

PAGE = "index.html"

MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)

_SAFE = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}
_REVALIDATED = {"cache-control": "no-cache"}
_KEPT = {"cache-control": "public, max-age=31536000, immutable"}
"""The name of every file but the page contains a hash of its bytes."""


class _File(Struct, frozen=True):
    content: bytes
    compressed: bytes
    media_type: str
    headers: dict[str, str]


def console_router() -> Router:
    """The routes of the door, which need no key."""
    files = {path.name: _read(path) for path in STATIC.iterdir()}

    @get("/console", sync_to_thread=False)
    def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The page, or 304 if the browser has it. `/console/` leads to `/console`, below which its files are."""
        if request.scope["raw_path"].endswith(b"/"):
            return Response(b"", status_code=308, headers={"location": "../console"})
        return _answer(files[PAGE], request)

    @get("/console/{name:str}", sync_to_thread=False)
    def file(name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        """A file of the page."""
        if name == PAGE or name not in files:
            raise NotFoundException
        return _answer(files[name], request)

    return Router("/", route_handlers=[page, file], opt={"door": "console"})


def _read(path: Path) -> _File:
    content = path.read_bytes()
    kept = _REVALIDATED if path.name == PAGE else _KEPT
    headers = {**_SAFE, **kept, "etag": f'"{sha256(content).hexdigest()[:32]}"'}
    return _File(content, gzip.compress(content, mtime=0), MEDIA_TYPES[path.suffix], headers)


def _answer(file: _File, request: Request[Any, Any, Any]) -> Response[bytes]:
    headers = file.headers
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    if named_quality(header_map(request.scope), "gzip", header=b"accept-encoding") > 0:
        return Response(file.compressed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
