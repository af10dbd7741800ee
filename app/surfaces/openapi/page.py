"""The API document at `/openapi.json`, and `/docs`, a page that shows it and can call its operations.

The page is Swagger UI, with the files of the package `offapi`. Nothing comes from the network: its
Content-Security-Policy lets the page load only from this server, and no other server validates the document.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import distribution
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException

from app.surfaces.shared.requests import asked_address

ASSETS = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css"}
"""The files of the package that are served, and their media types."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI has inline styles. Scripts are files only."""

START = """\
const base = new URL(".", location.href).href.replace(/\\/$/, "");
const spec = await (await fetch("openapi.json")).json();
SwaggerUIBundle({
  spec: { ...spec, servers: [{ url: base }] },
  dom_id: "#document",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
"""
"""The page calls the address that it has in the browser, which a server behind a proxy may not know."""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Synap Events</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/swagger_style.css?v={version}">
  </head>
  <body>
    <div id="document"></div>
    <script src="docs/swagger_bundle.js?v={version}"></script>
    <script type="module" src="docs/start.js"></script>
  </body>
</html>
"""

ADDRESSES = 16
"""How many addresses of a server have their documents kept. Callers can make up any number."""

_REVALIDATED = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
_KEPT = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


def docs_router(document: Callable[[], dict[str, Any]]) -> Router:
    """The routes of the document, which need no key. The first request makes the document."""
    document = cache(document)
    package = distribution("offapi")
    page = PAGE.replace("{version}", package.version)

    @lru_cache(ADDRESSES)
    def written(address: str) -> tuple[bytes, str]:
        """The document as it is sent to who asked at this address, and its ETag."""
        content = msgspec.json.encode(document() | {"servers": [{"url": address}]})
        return content, f'"{sha256(content).hexdigest()[:32]}"'

    @get("/openapi.json", sync_to_thread=True)
    def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The document, or 304 if the caller has it."""
        content, etag = written(asked_address(request.url.scheme, request.headers) or "/")
        headers = {**_REVALIDATED, "etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        return Response(content, media_type=MediaType.JSON, headers=headers)

    @get("/docs", sync_to_thread=False)
    def docs() -> Response[str]:
        """The page."""
        headers = {**_REVALIDATED, "content-security-policy": POLICY, "referrer-policy": "no-referrer"}
        return Response(page, media_type=MediaType.HTML, headers=headers)

    @get("/docs/start.js", sync_to_thread=False)
    def start() -> Response[str]:
        """The script that opens the document in the page."""
        return Response(START, media_type=ASSETS["swagger_bundle.js"], headers=_REVALIDATED)

    @get("/docs/{asset:str}", sync_to_thread=True)
    def file(asset: str) -> Response[bytes]:
        """A file of Swagger UI."""
        if asset not in ASSETS:
            raise NotFoundException
        content = package.locate_file(f"offapi/{asset}").read_bytes()  # type: ignore[attr-defined] # it is a path
        return Response(content, media_type=ASSETS[asset], headers=_KEPT)

    return Router("/", route_handlers=[openapi_json, docs, start, file])
