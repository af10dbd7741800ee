"""Imports the events of a file into a log, in their order, through `EventLog`.

Three work at once: a thread reads the file, a process makes drafts of its lines (`app/cli/importing/drafting.py`), and
this process appends piece by piece. Each piece is one transaction, and a line that is read again gets the same id.
However an import ends, the same command run again stores what is missing, and nothing twice.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import IO

from app.capacity.garbage import collect_rarely
from app.cli.importing.drafting import LINE_ID_VERSION, Drafted, LinePiece, Origin, RefusedLine, work
from app.cli.importing.options import ImportOptions, ImportResult, called
from app.cli.importing.reader import DraftedLines, ImportingError, opened, size_of, text_of
from app.cli.importing.rejected import refusals_of, set_aside
from app.cli.terminal import Bar
from app.ledger.chain import NODE_LOG
from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.server.extensions import load_extensions
from app.server.install import ReadyInstall, ready
from app.settings import Settings
from app.signals import held_back, stop
from app.store.audit.log import enter
from app.store.events.event_log import EventLog
from app.store.install.inspection import log_size
from app.store.install.install import InstallError, connect
from app.store.install.registered import register_types
from app.store.install.workspaces import no_workspace
from app.store.postgres.database import Database
from app.store.postgres.notices import Notices
from schemas.errors import Conflict, InvalidInput, Issue, ProcedureError, Unavailable
from schemas.event import SynapEvent
from schemas.event_data import event_types
from schemas.metadata import registered_kinds

PATIENCE_SECONDS = 60.0
"""How long the database may be unavailable before the import fails."""

RETRY_SECONDS = 0.5

PIECES_AHEAD = 2
"""How many pieces are read and linked while one is stored."""


def import_file(settings: Settings, options: ImportOptions) -> ImportResult:
    """Import into the install of `settings`. Servers may run on it.

    Raises ImportingError, SettingsError, DataDirectoryError, InstallError before anything is stored.
    """
    load_extensions(settings.extensions)
    with ExitStack() as stack:
        file = stack.enter_context(opened(options.path))
        text = text_of(file, called(options))
        refusals = (
            None if options.skip_bad is None else stack.enter_context(refusals_of(options.skip_bad, file, options))
        )
        origin = Origin(options.workspace, options.name, options.user, settings.max_event_bytes)
        drafting = stack.enter_context(_drafting(origin, settings.extensions))  # starts while the database does
        install = stack.enter_context(ready(settings, serving=False))
        drafting.send_bytes(install.node.encode())
        with connect(install.database_url) as connection:
            size = log_size(connection, options.workspace)
            if size is None or options.workspace == NODE_LOG:
                raise no_workspace(options.workspace)
            register_types(connection, registered_kinds(), event_types())
            enter(connection, "events.import_started", _named(options), [options.workspace])
        lines = DraftedLines(file, text, drafting, options.from_line, settings.max_event_bytes)
        importing = _Import(options, lines, refusals, size - 1)
        try:
            asyncio.run(importing.run(install, Keyring(settings.node_key_path)))
        finally:
            result = importing.result
            with (
                suppress(InstallError),
                connect(install.database_url) as connection,
            ):  # the database may be why the import ended
                counts = {name: getattr(result, name) for name in ("stored", "already", "refused")}
                enter(connection, "events.imported", _named(options) | counts, [options.workspace])
    return result


class _Import:
    """One running import."""

    def __init__(self, options: ImportOptions, lines: DraftedLines, refusals: IO[bytes] | None, end: int) -> None:
        """`refusals` is the file for rejected lines, if there is one; `end` is the last seq of the log."""
        self.result = ImportResult(last_line=options.from_line - 1)
        self._options = options
        self._lines = lines
        self._refusals = refusals
        self._end = end
        self._stopped = asyncio.Event()
        self._reading = asyncio.Lock()

    async def run(self, install: ReadyInstall, keys: Keyring) -> None:
        """Import to the end, to the first rejected line, or until a signal stops this process.

        It always finishes storing the lines that it has begun to store.
        """
        loop = asyncio.get_running_loop()
        with stop.finishing(lambda: loop.call_soon_threadsafe(self._stopped.set)):
            await self._run(install, keys)

    async def _run(self, install: ReadyInstall, keys: Keyring) -> None:
        database, notices = Database(install.database_url), Notices(install.database_url)
        await database.open()
        notices.open()
        self._log = EventLog(database, keys, install.node, committed=notices.tell)
        collect_rarely()  # new objects belong to a piece and die with it
        started = time.monotonic()
        try:
            self._lines.open()
            with Bar("lines", self._lines.bytes) as bar:
                await self._import(bar)
        except (ImportingError, ProcedureError) as error:
            if (
                isinstance(error, Unavailable) and self._stopped.is_set()
            ):  # `_patiently` gave up at once for this reason
                self.result.is_interrupted = True
            else:
                self.result.failure = str(error).removesuffix(".")
        finally:
            self.result.seconds = time.monotonic() - started
            await notices.close()
            await database.close()

    async def _import(self, bar: Bar) -> None:
        stopping = asyncio.create_task(self._stopped.wait())
        following = deque(asyncio.create_task(self._following()) for _ in range(PIECES_AHEAD))
        done_bytes, done_before = 0, self.result.last_line
        try:
            while self.result.bad is None:
                await asyncio.wait([following[0], stopping], return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    self.result.is_interrupted = True
                    return
                found = await following.popleft()
                if found is None:
                    return
                piece, drafted = found
                self.result.unit = self._lines.unit
                following.append(asyncio.create_task(self._following()))  # read and linked while this one is stored
                await self._store(piece, drafted)
                done_bytes += size_of(piece.lines)
                bar.show(self._lines.skipped_bytes + done_bytes, self.result.last_line - done_before)
        finally:
            for task in (stopping, *following):
                task.cancel()
            await asyncio.gather(stopping, *following, return_exceptions=True)

    async def _following(self) -> tuple[LinePiece, Drafted] | None:
        """The next piece, which is then linked ahead. Those who ask get the pieces in the order in which they ask."""
        async with self._reading:
            found = await self._lines.next()
            if found is not None and not found[1].refused:
                self._log.foresee(self._options.workspace, found[1].drafts)
            return found

    async def _store(self, piece: LinePiece, drafted: Drafted) -> None:
        numbers, drafts, refused = drafted.numbers, drafted.drafts, drafted.refused
        if refused and self._refusals is None:
            before = sum(number < refused[0].number for number in numbers)
            numbers, drafts, refused = numbers[:before], drafts[:before], refused[:1]
        if drafts:
            refused = await self._append(numbers, drafts) + refused
        if refused and self._refusals is None:
            self.result.bad = refused[0]
            self.result.last_line = refused[0].number - 1
            return
        if self._refusals is not None:
            set_aside(self._refusals, sorted(refused, key=attrgetter("number")), piece, self._options)
            self.result.refused += len(refused)
        self.result.last_line = piece.first + len(piece.lines) - 1

    async def _append(self, numbers: Sequence[int], drafts: Sequence[Draft]) -> list[RefusedLine]:
        """Append in order. Returns the lines that the log rejects; without `--skip-bad` only the first one."""
        try:
            events = await self._patiently(drafts)
        except (Conflict, InvalidInput) as error:
            # Nothing was stored, and the error does not name the line: halve the piece until one line is left.
            if len(drafts) == 1:
                return [RefusedLine(numbers[0], [Issue(error.field or "", error.message)])]
            half = len(drafts) // 2
            refused = await self._append(numbers[:half], drafts[:half])
            if refused and self._refusals is None:
                return refused
            return refused + await self._append(numbers[half:], drafts[half:])
        stored = {event.seq for event in events if event.seq > self._end}
        self._end = max(stored, default=self._end)
        self._count_again(drafts, [event.seq in stored for event in events])
        self.result.stored += len(stored)
        self.result.already += len(events) - len(stored)
        return []

    def _count_again(self, drafts: Sequence[Draft], are_new: Sequence[bool]) -> None:
        """Count lines that were stored already, after lines that were not. A file that has only grown has none."""
        any_new = self.result.stored > 0
        for draft, is_new in zip(drafts, are_new, strict=True):
            any_new = any_new or is_new
            if any_new and not is_new and draft.id.version == LINE_ID_VERSION:
                self.result.again += 1

    async def _patiently(self, drafts: Sequence[Draft]) -> list[SynapEvent]:
        """Append, and try again while the database is unavailable, for at most PATIENCE_SECONDS."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await self._log.append(self._options.workspace, drafts)
            except Unavailable:
                if self._stopped.is_set() or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_SECONDS)


@contextmanager
def _drafting(origin: Origin, extensions: Sequence[str]) -> Iterator[Connection]:
    """A connection to a process that turns pieces into drafts. The process ends with this one in any case."""
    context = get_context("spawn")  # it inherits no open file, so it notices when this process is gone
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(its, origin, extensions), daemon=True)
    with held_back():
        process.start()
    its.close()
    try:
        yield ours  # not closed: the reading thread may be about to write, and fails because the process is gone
    finally:
        process.kill()  # it has no state to lose
        process.join()


def _named(options: ImportOptions) -> dict[str, object]:
    """What the audit records of a file: only its name, because a path may name a person."""
    return {"file": options.name.encode(errors="surrogateescape").decode(errors="replace")}
