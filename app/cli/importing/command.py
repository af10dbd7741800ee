"""What `synap import` does: the events of a file into a log, in their order, by the one that appends there, `EventLog`.

Three work at once: a thread reads the file, a process makes drafts of its lines (`app/cli/importing/drafting.py`), and
this process appends piece by piece. Each piece is a transaction, and every event has an id that is the same when the
line is read again: whatever ends an import, the same command run again stores what is missing and nothing twice.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from operator import attrgetter
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from app.cli.importing.drafting import LINE_ID_VERSION, Drafted, Origin, Piece, Refused, work
from app.cli.importing.reader import DraftedLines, ImportingError, opened, size_of, text_of
from app.cli.terminal import Bar, escaped
from app.ledger.chain import NODE_LOG
from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.server.extensions import load_extensions
from app.server.install import Install, ready
from app.settings import Settings
from app.signals import held_back, stop
from app.store.audit.log import enter
from app.store.events.event_log import EventLog
from app.store.install.inspection import log_size
from app.store.install.install import InstallError, connect
from app.store.install.registered import register_types
from app.store.postgres.database import Database
from app.store.postgres.notices import Notices
from schemas.errors import Conflict, InvalidInput, Issue, ProcedureError, Unavailable
from schemas.event import SynapEvent
from schemas.event_data import event_types
from schemas.metadata import registered_kinds

PATIENCE_SECONDS = 60.0
"""How long the database may be away."""

RETRY_SECONDS = 0.5


EXIT_REFUSED = 1
EXIT_FAILED = 2


class Order(Struct, frozen=True, kw_only=True):
    """What is to be imported, and how."""

    path: Path | None
    """None: standard input."""
    name: str
    """What the file is called, by which its lines are known again."""
    workspace: str
    user: str
    from_line: int = 1
    skip_bad: Path | None = None
    """Where lines go that are no event; None: the first one ends the import."""


class Outcome(Struct, kw_only=True):
    """What came of an import, so far."""

    stored: int = 0
    already: int = 0
    refused: int = 0
    last_line: int = 0
    """Up to which everything is stored or refused."""
    seconds: float = 0.0
    again: int = 0
    """Lines without an id of their own that were there already, behind lines that were not."""
    unit: str = "line"
    """What the file is made of: its lines, or the events of its JSON array."""
    bad: Refused | None = None
    """The line that ended it."""
    is_interrupted: bool = False
    failure: str | None = None
    """Why it could not go on: one sentence."""


def import_file(settings: Settings, order: Order) -> Outcome:
    """Carry out `order` on the install of `settings`. Servers may run on it.

    Raises ImportingError, SettingsError, DataDirectoryError, InstallError before anything is stored.
    """
    load_extensions(settings.extensions)
    with ExitStack() as stack:
        file = stack.enter_context(opened(order.path))
        text = text_of(file, _called(order))
        refusals = None if order.skip_bad is None else stack.enter_context(_refusals(order.skip_bad, file, order))
        origin = Origin(order.workspace, order.name, order.user, settings.max_event_bytes)
        drafting = stack.enter_context(_drafting(origin, settings.extensions))  # gets up while the database does
        install = stack.enter_context(ready(settings, serving=False))
        with connect(install.database_url) as connection:
            size = log_size(connection, order.workspace)
            if size is None or order.workspace == NODE_LOG:
                raise ImportingError(f"There is no workspace {order.workspace!r}; see: synap workspaces list.")
            register_types(connection, registered_kinds(), event_types())
            enter(connection, "events.import_started", _named(order), [order.workspace])
        lines = DraftedLines(file, text, drafting, order.from_line, settings.max_event_bytes)
        importing = _Import(order, lines, refusals, size - 1)
        try:
            asyncio.run(importing.run(install, Keyring(settings.node_key_path)))
        finally:
            outcome = importing.outcome
            with suppress(InstallError), connect(install.database_url) as connection:  # it may be why the import ended
                counts = {name: getattr(outcome, name) for name in ("stored", "already", "refused")}
                enter(connection, "events.imported", _named(order) | counts, [order.workspace])
    return outcome


def summary(order: Order, outcome: Outcome) -> str:
    """What was done, in one line."""
    events = outcome.stored + outcome.already
    name = f" Its name is {escaped(order.name)}." if order.path is None else ""
    return (
        f"{_called(order)} into {order.workspace}: {outcome.stored} stored, {outcome.already} there already, "
        f"{outcome.refused} refused, in {outcome.seconds:.1f} s "
        f"({events / max(outcome.seconds, 1e-6):,.0f} events/s).{name}"
    )


def complaints(order: Order, outcome: Outcome) -> Iterator[str]:
    """What the operator has to know of where it ended, line by line."""
    name, unit = _called(order), outcome.unit
    if outcome.again:
        yield (
            f"synap: There already, behind what was not: {outcome.again} of the {unit}s. An earlier import named "
            f"{escaped(order.name)} had the same text in the same place; if this is another file, give it a --name."
        )
    if outcome.bad is not None:
        for issue in outcome.bad.issues:
            where = f"{escaped(issue.path)}: " if issue.path else ""
            yield f"{name}, {unit} {outcome.bad.number}: {where}{escaped(issue.message)}"
        yield (
            f"synap: All before {unit} {outcome.bad.number} is stored; mend that {unit} and run the same command again"
            f"{_by_name(order)}, or say --skip-bad FILE."
        )
    elif outcome.failure is not None:
        yield f"synap: {outcome.failure}; {_goes_on(order, outcome)}"
    elif outcome.is_interrupted:
        yield f"synap: Interrupted; {_goes_on(order, outcome)}"


def exit_code(outcome: Outcome) -> int:
    """0: all is stored. 1: a line was refused. 2: it could not go on. 130 or 143: SIGINT or SIGTERM interrupted it."""
    if outcome.failure is not None:
        return EXIT_FAILED
    if outcome.is_interrupted:
        return stop.exit_code
    return EXIT_REFUSED if outcome.bad or outcome.refused else 0


def _called(order: Order) -> str:
    return "standard input" if order.path is None else escaped(order.path.name)


def _by_name(order: Order) -> str:
    """Standard input is known again only by its name, which may have been made for this run."""
    return f" with --name {escaped(order.name)}" if order.path is None else ""


def _goes_on(order: Order, outcome: Outcome) -> str:
    return (
        f"the same command{_by_name(order)} goes on behind {outcome.unit} {outcome.last_line} (with --from-line "
        f"{outcome.last_line + 1} at once)."
    )


class _Import:
    """One import under way."""

    def __init__(self, order: Order, lines: DraftedLines, refusals: IO[bytes] | None, end: int) -> None:
        """`end` is the last seq of the log."""
        self.outcome = Outcome(last_line=order.from_line - 1)
        self._order = order
        self._lines = lines
        self._refusals = refusals
        self._end = end
        self._stopped = asyncio.Event()

    async def run(self, install: Install, keys: Keyring) -> None:
        """Import to the end, to the first line that is no event, or until this process is told to stop.

        Then it stores the lines that it has begun to store.
        """
        loop = asyncio.get_running_loop()
        with stop.finishing(lambda: loop.call_soon_threadsafe(self._stopped.set)):
            await self._run(install, keys)

    async def _run(self, install: Install, keys: Keyring) -> None:
        database, notices = Database(install.database_url), Notices(install.database_url)
        await database.open()
        notices.open(lambda _workspace, _seq: None, lambda _workspace: None, lambda: None)
        self._log = EventLog(database, keys, install.node, committed=notices.tell)
        started = time.monotonic()
        try:
            self._lines.open()
            with Bar("lines", self._lines.bytes) as bar:
                await self._import(bar)
        except (ImportingError, ProcedureError) as error:
            if isinstance(error, Unavailable) and self._stopped.is_set():  # and so not tried any longer
                self.outcome.is_interrupted = True
            else:
                self.outcome.failure = str(error).removesuffix(".")
        finally:
            self.outcome.seconds = time.monotonic() - started
            await notices.close()
            await database.close()

    async def _import(self, bar: Bar) -> None:
        stopping = asyncio.create_task(self._stopped.wait())
        following = asyncio.create_task(self._lines.next())
        done_bytes, done_before = 0, self.outcome.last_line
        try:
            while self.outcome.bad is None:
                await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    self.outcome.is_interrupted = True
                    return
                found = await following
                if found is None:
                    return
                piece, drafted = found
                self.outcome.unit = self._lines.unit
                following = asyncio.create_task(self._lines.next())  # comes while this one is stored
                await self._store(piece, drafted)
                done_bytes += size_of(piece.lines)
                bar.show(self._lines.skipped_bytes + done_bytes, self.outcome.last_line - done_before)
        finally:
            for task in (stopping, following):
                task.cancel()
            await asyncio.gather(stopping, following, return_exceptions=True)

    async def _store(self, piece: Piece, drafted: Drafted) -> None:
        numbers, drafts, refused = drafted.numbers, drafted.drafts, drafted.refused
        if refused and self._refusals is None:
            before = sum(number < refused[0].number for number in numbers)
            numbers, drafts, refused = numbers[:before], drafts[:before], refused[:1]
        if drafts:
            refused = await self._append(numbers, drafts) + refused
        if refused and self._refusals is None:
            self.outcome.bad = refused[0]
            self.outcome.last_line = refused[0].number - 1
            return
        if self._refusals is not None:
            self._write(self._refusals, sorted(refused, key=attrgetter("number")), piece)
        self.outcome.last_line = piece.first + len(piece.lines) - 1

    async def _append(self, numbers: Sequence[int], drafts: Sequence[Draft]) -> list[Refused]:
        """Append in order. Answers the lines that the log refuses; without a place for them, only the first one."""
        try:
            events = await self._patiently(drafts)
        except (Conflict, InvalidInput) as error:
            # All or nothing, and the error does not say which line it is: by halves, until it is one alone.
            if len(drafts) == 1:
                return [Refused(numbers[0], [Issue(error.field or "", error.message)])]
            half = len(drafts) // 2
            refused = await self._append(numbers[:half], drafts[:half])
            if refused and self._refusals is None:
                return refused
            return refused + await self._append(numbers[half:], drafts[half:])
        stored = {event.seq for event in events if event.seq > self._end}
        self._end = max(stored, default=self._end)
        self._count_again(drafts, [event.seq in stored for event in events])
        self.outcome.stored += len(stored)
        self.outcome.already += len(events) - len(stored)
        return []

    def _count_again(self, drafts: Sequence[Draft], are_new: Sequence[bool]) -> None:
        """Count what was there already behind what was not: a file that has only grown has none."""
        any_new = self.outcome.stored > 0
        for draft, is_new in zip(drafts, are_new, strict=True):
            any_new = any_new or is_new
            if any_new and not is_new and draft.id.version == LINE_ID_VERSION:
                self.outcome.again += 1

    async def _patiently(self, drafts: Sequence[Draft]) -> list[SynapEvent]:
        """`EventLog.append`, tried again while the database is away, but not for ever."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._log.append(self._order.workspace, drafts)
            except Unavailable:
                if self._stopped.is_set() or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    def _write(self, file: IO[bytes], refused: Sequence[Refused], piece: Piece) -> None:
        """Set lines aside. Raises ImportingError."""
        try:
            for each in refused:
                issues = [{"path": issue.path, "message": issue.message} for issue in each.issues]
                text = piece.lines[each.number - piece.first].decode(errors="replace")
                file.write(msgspec.json.encode(_SetAside(each.number, issues, text)) + b"\n")
            file.flush()
        except OSError as error:
            raise ImportingError(f"{self._order.skip_bad} cannot be written: {error.strerror}.") from None
        self.outcome.refused += len(refused)


class _SetAside(Struct, frozen=True, forbid_unknown_fields=True):
    """A line that was refused, as `--skip-bad` writes it."""

    line: int
    issues: list[dict[str, str]]
    text: str


@contextmanager
def _refusals(path: Path, source: IO[bytes], order: Order) -> Iterator[IO[bytes]]:
    """The file for the lines that are refused: a new one, or that of an earlier run, with what that refused before."""
    try:
        if path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            raise ImportingError(
                f"{path} is the file that is imported; name another one for the lines that are refused."
            )
        kept = _kept_bytes(path, order) if path.is_file() else 0
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
        if path.is_file():
            os.fchmod(file.fileno(), 0o600)  # it may be that of an earlier run, or made by the operator
            file.truncate(kept)
    except OSError as error:
        raise ImportingError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        yield file
    finally:
        with suppress(OSError):  # whoever wrote has told it
            file.close()


def _kept_bytes(path: Path, order: Order) -> int:
    """How much the file of an earlier run has of lines that are not read again. Raises ImportingError, OSError."""
    kept = 0
    with path.open("rb") as file:
        for place, text in enumerate(file):
            try:
                is_kept = msgspec.json.decode(text, type=_SetAside).line < order.from_line
            except msgspec.DecodeError:
                if place == 0:
                    raise ImportingError(
                        f"{path} is there already, and no import wrote it; name another file for the lines that are "
                        "refused."
                    ) from None
                is_kept = False  # half of one: that run was killed
            if not is_kept:
                break
            kept += len(text)
    return kept


@contextmanager
def _drafting(origin: Origin, extensions: Sequence[str]) -> Iterator[Connection]:
    """The way to a process that answers pieces with drafts; it ends with this one, however that ends."""
    context = get_context("spawn")  # nothing of ours is open in it, so that it sees when we are gone
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(its, origin, extensions), daemon=True)
    with held_back():
        process.start()
    its.close()
    try:
        yield ours  # never closed: the thread that reads may be about to write, and fails since nobody is there
    finally:
        process.kill()  # it keeps nothing
        process.join()


def _named(order: Order) -> dict[str, object]:
    """What the audit says of a file: its name alone, since a path may name a person."""
    return {"file": order.name.encode(errors="surrogateescape").decode(errors="replace")}
