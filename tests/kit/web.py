"""Single HTTP requests, as `httpx.get` and similar functions make them, each on its own connection.

For each of them httpx reads all certificate authorities from a file, which takes longer than the request itself.
"""

import ssl
from functools import partial

import httpx

_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It contains no authority, because the tests use plain HTTP."""

request = partial(httpx.request, verify=_CONTEXT)
stream = partial(httpx.stream, verify=_CONTEXT)
get = partial(httpx.get, verify=_CONTEXT)
head = partial(httpx.head, verify=_CONTEXT)
options = partial(httpx.options, verify=_CONTEXT)
post = partial(httpx.post, verify=_CONTEXT)
put = partial(httpx.put, verify=_CONTEXT)
