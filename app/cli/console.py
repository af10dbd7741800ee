"""`synap console`: a link into the console."""

from urllib.parse import urlsplit

from app.cli.administration import administered
from app.cli.arguments import UsageError, check_user
from app.settings import Settings
from app.store.install.console_keys import issue_console_key
from app.store.install.install import CONTROL_KEY_ID
from app.store.postgres.driver import Connection


def console(*, url: str | None = None, user: str = CONTROL_KEY_ID) -> None:
    """Print a link that signs in to the console of a server, with a key that expires after 8 hours.

    The key has every scope except `*`, for every workspace. Anyone with the link has the key. Signing out revokes it.

    Parameters
    ----------
    url
        The URL under which browsers reach the server. Default: the server that this machine's settings describe.
    user
        The user id that the key acts for.
    """
    settings = Settings.from_environment()
    check_user(user)
    if url is None and not settings.console:
        raise UsageError("SYNAP_CONSOLE turns the console off; set it to true, or name another server with --url.")
    address = settings.browser_url if url is None else _checked(url)
    with administered() as install:
        print(console_link(address, install.connection, user))


def console_link(address: str, connection: Connection, user: str = CONTROL_KEY_ID) -> str:
    """A link to the console of the server at an address, with a new key."""
    # What follows `#` is never sent to a server, so it stands in no log of one.
    return f"{address}/console#token={issue_console_key(connection, user)}&temporary"


def _checked(url: str) -> str:
    """The URL without slashes at its end. Raises UsageError if a path cannot follow it."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        is_usable = False
    if not is_usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError("--url must begin with https:// or http://, such as https://events.example.org.")
    return url.rstrip("/")
