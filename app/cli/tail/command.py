"""`synap tail`: the command."""

import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from app.cli.arguments import Flag, UsageError
from app.cli.tail.follow import TailOptions, follow
from app.cli.tail.line import printer
from app.cli.tokens import read_token, token_in
from app.settings import Settings
from app.signals import stop


def tail(
    *,
    url: str | None = None,
    workspace: str | None = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    filter_: Annotated[str | None, Parameter(name="--filter")] = None,
    start: str = "now",
    json: Flag = False,
    token_file: Path | None = None,
) -> None:
    """Follow the log of a server, each event on a line, until interrupted.

    Parameters
    ----------
    url
        The URL of the server. Default: the server that this machine's settings describe.
    workspace
        The workspace. Default: the first workspace of the token's key.
    type_
        Only events of this type; `*` stands for a segment.
    filter_
        Only events that match this filter, as JSON.
    start
        Where to begin: `now`, `beginning`, a seq, a time, or the id of an event or a cursor after which to begin.
    json
        Print each event as JSON.
    token_file
        A file with a token. Default: the environment variable SYNAP_TOKEN, or on this machine the control token.
    """
    settings = Settings.from_environment()
    url = url or settings.url
    token = read_token(token_file)
    if not token and is_local(url):
        with suppress(UsageError):
            token = token_in(settings.control_token_path)
    options = TailOptions(
        url=url,
        token=token,
        workspace=workspace,
        type=type_,
        filter=filter_,
        start=start,
        superjson=settings.transformer == "superjson",
    )
    shown = printer(json=json)
    for event in follow(options, lambda said: print(f"synap: {said}", file=sys.stderr, flush=True)):
        with stop.finishing():  # no signal ends the process in the middle of a line
            print(shown(event), flush=True)
        stop.check()


def is_local(url: str) -> bool:
    """Whether a URL leads only to this machine. An address that stands for all local addresses counts as well."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False
