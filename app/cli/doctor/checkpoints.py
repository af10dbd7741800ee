"""Checks whether logs still extend their kept checkpoints."""

from collections.abc import Iterator, Sequence

from app.cli.doctor.finding import MAX_NAMED, Finding, wrong
from app.ledger.checkpoint import Note, is_signed_by, parse
from app.ledger.kept import KeptNote, KeptNoteError, KeptNotes
from app.store.install import inspection
from app.store.install.install import Identity, find_identity
from app.store.ledger.key_history import kids
from app.store.postgres.driver import Connection
from app.store.postgres.nodes import WHOLE, Part, workspaces_of


def prove(connection: Connection, note: Note) -> Finding:
    """Whether the log that a note names still begins with the events that the note covers."""
    checkpoint = note.checkpoint
    identity = find_identity(connection)
    if identity is None:
        return wrong("The database has no install.")
    log = checkpoint.origin.removeprefix(f"{identity.origin}/")
    if fault := _origin_fault(connection, note, identity, log) or _size_fault(connection, log, checkpoint.size):
        return wrong(fault)
    tree = inspection.tree(connection, log, checkpoint.size)
    if tree.size != checkpoint.size or tree.root() != checkpoint.root:
        return wrong(
            f"The first {checkpoint.size} events of the log {log} are not the events that the checkpoint covers: the "
            "log has another history."
        )
    return Finding(is_right=True, sentence=f"The log {log} extends the checkpoint of its first {tree.size} events.")


def examine_kept(
    notes: KeptNotes, connection: Connection, part: Part = WHOLE, missing: Sequence[Part] = ()
) -> Iterator[Finding]:
    """Whether each log extends the checkpoint that this machine keeps of it. Reads every hash.

    It checks the logs of a part, without those of nodes that are `missing`.
    """
    unknown = workspaces_of(missing)
    kept = {log: note for log, note in notes.read().items() if log not in unknown}
    if not kept:
        yield Finding(
            is_right=True,
            sentence=f"No checkpoint is kept in {notes.path} yet; a server writes the first when it runs.",
        )
        return
    faults = [fault for log, note in kept.items() if (fault := _kept_fault(connection, log, note)) is not None]
    stopped = inspection.stopped_logs(connection, part)
    if stopped:
        faults.append(
            f"These logs lost events, so no server appends to them: {', '.join(stopped[:MAX_NAMED])}; restore the "
            "database, or accept the loss: synap node accept-rollback."
        )
    yield from map(wrong, faults)
    if not faults:
        yield Finding(is_right=True, sentence=f"Every log extends its kept checkpoint ({len(kept)} in {notes.path}).")


def _kept_fault(connection: Connection, log: str, note: KeptNote | KeptNoteError) -> str | None:
    if isinstance(note, KeptNoteError):
        return str(note)
    if note.is_settled_by(inspection.accepted_losses(connection, log)):
        return None
    if inspection.log_size(connection, log) is None and inspection.is_deleted_by_audit(connection, log):
        return None
    finding = prove(connection, parse(note.note))
    return None if finding.is_right else finding.sentence


def _origin_fault(connection: Connection, note: Note, identity: Identity, log: str) -> str | None:
    origin = note.checkpoint.origin
    if log == origin or "/" in log:
        return f"The checkpoint belongs to {origin}, which is not a log of this install ({identity.origin}/...)."
    if not any(is_signed_by(note, kid) for kid in kids(connection, identity.node)):
        return (
            "None of the install's keys in this database signed the checkpoint: it is forged, or the database is a "
            "backup from before a change of keys."
        )
    return None


def _size_fault(connection: Connection, log: str, size: int) -> str | None:
    has = inspection.log_size(connection, log)
    if has is None and inspection.is_deleted(connection, log):
        return f"The log {log} was deleted."
    if has is None:
        return f"There is no log {log}: the database is a backup from before the log was opened."
    if has < size:
        return (
            f"The log {log} has {has} events, but had {size} when the checkpoint was signed: the database is an older "
            "backup, or events were cut off."
        )
    return None
