"""The figures of a run: as a table, as JSON, and compared with those of another run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.errors import Missing


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one kind of call on one server; None if a figure has no meaning or is unknown."""

    calls_per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    """Microseconds of the server's processor time for each call."""
    database_us: float | None
    wal_bytes: float | None
    """Bytes of WAL for each appended event."""
    disk_bytes: float | None
    group: float | None
    """The average number of events in one transaction."""

    @property
    def total_us(self) -> float:
        """Microseconds of all processor time for each call."""
        return self.server_us + (self.database_us or 0.0)

    @classmethod
    def median(cls, runs: Sequence["Figures"]) -> "Figures":
        """The median of each figure."""
        found = {name: [getattr(run, name) for run in runs] for name in cls.__struct_fields__}
        medians = {name: None if None in values else median(values) for name, values in found.items()}
        return msgspec.convert(medians, cls)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run: where and how it was measured, and the figures by call and server."""

    machine: dict[str, str]
    method: str
    figures: dict[str, dict[str, Figures]]


def read(file: Path) -> Report:
    """Read the report of an earlier run. Raises Missing if it cannot be read."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        raise Missing(f"{file} is no report of an earlier run: {error}.") from None


def table(report: Report) -> Iterator[str]:
    """One line for the machine, one for the method, and one for each call and server."""
    yield ", ".join(f"{name} {value}" for name, value in report.machine.items())
    yield report.method
    yield "us: processor microseconds a call; ratio: to ours; WAL, disk: bytes an event; group: events a transaction."
    yield ""
    yield (
        f"{'call':24}{'server':7}{'calls/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'server us':>11}{'database us':>13}"
        f"{'all us':>9}{'ratio':>8}{'WAL':>8}{'disk':>8}{'group':>7}"
    )
    for call, servers in report.figures.items():
        ours = servers.get("ours")
        for name, figures in servers.items():
            ratio = f"{figures.total_us / ours.total_us:.1f}x" if ours and name != "ours" else ""
            yield (
                f"{call:24}{name:7}{figures.calls_per_second:10,.0f}{figures.p50_ms:9.1f}{figures.p99_ms:9.1f}"
                f"{figures.server_us:11,.0f}{_number(figures.database_us):>13}{figures.total_us:9,.0f}{ratio:>8}"
                f"{_number(figures.wal_bytes):>8}{_number(figures.disk_bytes):>8}{_number(figures.group):>7}"
            )


def comparison(before: Report, after: Report) -> Iterator[str]:
    """The changes for each call and server that both runs have."""
    yield ""
    if before.machine != after.machine:
        yield f"Another machine then: {', '.join(f'{name} {value}' for name, value in before.machine.items())}"
    if before.method != after.method:
        yield f"Measured otherwise then: {before.method}"
    yield f"{'then -> now':31}{'calls/s':>28}{'all us':>26}{'WAL':>26}{'disk':>26}"
    for call, servers in after.figures.items():
        for name, new in servers.items():
            if old := before.figures.get(call, {}).get(name):
                changes = (
                    _change(old.total_us, new.total_us),
                    _change(old.wal_bytes, new.wal_bytes),
                    _change(old.disk_bytes, new.disk_bytes),
                )
                rates = _change(old.calls_per_second, new.calls_per_second)
                yield f"{call:24}{name:7}{rates:>28}" + "".join(f"{change:>26}" for change in changes)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _change(old: float | None, new: float | None) -> str:
    """Two figures and their ratio. If the ratio is below 1, the figure is smaller now."""
    if not old or new is None:
        return "-"
    return f"{old:,.0f} -> {new:,.0f} {new / old:5.2f}x"
