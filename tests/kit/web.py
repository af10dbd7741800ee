"""Single HTTP requests, as `httpx.get` and similar functions make them, each on its own connection.

For each of them httpx reads all certificate authorities from a file, which takes longer than the request itself.
"""

import ssl
from functools import partial

import httpx

_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It contains no authority, because the tests use plain HTTP."""

SECONDS = 60.0
"""How long an answer may take. On a busy machine the first call of the MCP door loads its package for 10 s and more."""

request = partial(httpx.request, verify=_CONTEXT, timeout=SECONDS)
stream = partial(httpx.stream, verify=_CONTEXT, timeout=SECONDS)
get = partial(httpx.get, verify=_CONTEXT, timeout=SECONDS)
head = partial(httpx.head, verify=_CONTEXT, timeout=SECONDS)
options = partial(httpx.options, verify=_CONTEXT, timeout=SECONDS)
post = partial(httpx.post, verify=_CONTEXT, timeout=SECONDS)
put = partial(httpx.put, verify=_CONTEXT, timeout=SECONDS)
