"""`synap doctor --sizes`: what the logs take, and for how long the disk suffices."""

import shutil
from collections.abc import Iterator, Sequence

from app.settings import Settings
from app.store.install.parts import reachable
from app.store.install.sizes import Growth, RelationSize, growth, relation_sizes
from app.store.postgres.driver import Connection

KIB, MIB, GIB = 2**10, 2**20, 2**30


def report(settings: Settings, connection: Connection) -> Iterator[str]:
    """The lines of the report: a table, then what follows from it."""
    part, missing = reachable(connection)
    sizes, grown = relation_sizes(connection), growth(connection, part)
    free = None if settings.database_url is not None else shutil.disk_usage(settings.data_dir).free
    yield from _table(sizes, grown.events)
    yield from outlook(sum(each.bytes for each in sizes), grown, free)
    for each in missing:
        yield f"The node {each.node} of the database does not answer: its bytes and its events are not counted."


def outlook(total: int, grown: Growth, free: int | None) -> Iterator[str]:
    """Sentences about `total` bytes of data, their growth, and the `free` bytes of the disk, if they are known."""
    yield f"{grown.events} events take {readable(total)}: {total // max(grown.events, 1)} bytes an event."
    daily = grown.last_day * total // max(grown.events, 1)
    yield f"In the last 24 hours {grown.last_day} events came: about {readable(daily)} a day."
    if free is None:
        yield "How long the disk suffices is unknown here: it is the disk of another PostgreSQL. Divide its free space."
    elif daily == 0:
        yield f"{readable(free)} are free on the disk, which does not fill at this pace."
    else:
        yield f"{readable(free)} are free on the disk: full in about {free // daily} days at this pace."


def readable(size: int) -> str:
    """A number of bytes in the largest unit that is not more."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _table(sizes: Sequence[RelationSize], events: int) -> Iterator[str]:
    yield f"{'table or index':44} {'size':>12} {'bytes an event':>15}"
    for each in sizes:
        name = f"  {each.index}" if each.index else each.table
        yield f"{name:44} {readable(each.bytes):>12} {each.bytes // max(events, 1):>15}"
