"""Clients of httpx, and single requests as `httpx.get` and similar functions make them, each on its own connection.

For each client httpx reads all certificate authorities from a file, which takes longer than a request.
"""

import ssl
from functools import partial

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What a client needs that uses plain HTTP only, as the tests do."""

SECONDS = 60.0
"""How long an answer may take. On a busy machine the first call of the MCP door loads its package for 10 s and more."""

client = partial(httpx.Client, verify=NO_AUTHORITIES, timeout=SECONDS)
async_client = partial(httpx.AsyncClient, verify=NO_AUTHORITIES, timeout=SECONDS)

request = partial(httpx.request, verify=NO_AUTHORITIES, timeout=SECONDS)
stream = partial(httpx.stream, verify=NO_AUTHORITIES, timeout=SECONDS)
get = partial(httpx.get, verify=NO_AUTHORITIES, timeout=SECONDS)
head = partial(httpx.head, verify=NO_AUTHORITIES, timeout=SECONDS)
options = partial(httpx.options, verify=NO_AUTHORITIES, timeout=SECONDS)
post = partial(httpx.post, verify=NO_AUTHORITIES, timeout=SECONDS)
put = partial(httpx.put, verify=NO_AUTHORITIES, timeout=SECONDS)
