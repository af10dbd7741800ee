"""Single HTTP requests, as `httpx.get` and its like make them, each on a connection of its own.

httpx reads every certificate authority from a file for each of them, which costs more than the request itself.
"""

import ssl
from functools import partial

import httpx

_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It knows no authority: the tests speak plain HTTP to their servers."""

request = partial(httpx.request, verify=_CONTEXT)
stream = partial(httpx.stream, verify=_CONTEXT)
get = partial(httpx.get, verify=_CONTEXT)
head = partial(httpx.head, verify=_CONTEXT)
options = partial(httpx.options, verify=_CONTEXT)
post = partial(httpx.post, verify=_CONTEXT)
put = partial(httpx.put, verify=_CONTEXT)
