"""What `synap doctor` looks at: an install as it is, and whether a log still extends a checkpoint that was kept."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
from msgspec import Struct

from app.cli.ports import port_error, unusable
from app.ledger.checkpoint import Note, is_signed_by, parse
from app.ledger.kept import KeptNote, KeptNoteError, KeptNotes
from app.ledger.keyring import Keyring
from app.server.extensions import load_extensions
from app.server.install import connections, observed
from app.settings import Settings, SettingsError
from app.store.audit.check import audit_faults
from app.store.install import inspection
from app.store.install.idempotency import has_secret_ids
from app.store.install.install import Identity, InstallError, connect, find_identity, head, said
from app.store.install.secret import SecretError, read_secret, require_secret, unopened
from app.store.ledger.key_history import kids
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.openings import openings, secrets
from app.store.postgres.roles import power
from app.store.postgres.tuning import advice

MIN_FREE_BYTES = 2**30
"""On the disk of the embedded database: PostgreSQL stops where it is full."""

MAX_CLOCK_SECONDS = 5.0
"""Between the clocks of this machine and of the database."""

MAX_OVERDUE_SECONDS = 600.0
"""For how long a webhook's delivery may have been due: servers send them at once, but for those in a queue."""

PROBE_SECONDS = 2.0

FORMER_IDS = (
    "Events with an Idempotency-Key still get ids that can be foretold, as servers of an earlier version do; when the "
    "last one has stopped, run: synap migrate."
)

MAX_NAMED = 10
"""Of things that are wrong alike."""


class Finding(Struct, frozen=True):
    """What was looked at, and whether it is right: one sentence."""

    is_right: bool
    sentence: str
    is_hint: bool = False
    """It works, but could work better."""

    def __str__(self) -> str:
        """A line for the operator."""
        return f"{'hint' if self.is_hint else 'ok' if self.is_right else 'wrong'}: {self.sentence}"


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the install of `settings` without changing it: what is cheap to see. Servers may run."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(observed(settings)))
            version = connection.info.parameter_status("server_version")
            yield Finding(is_right=True, sentence=_answers(settings, version))
            yield from _database(settings, connection)
        except (DataDirectoryError, InstallError) as error:
            yield Finding(is_right=False, sentence=str(error))
        except OSError as error:
            yield _wrong(f"The data directory {settings.data_dir} cannot be used: {error.strerror}.")
        except psycopg.Error as error:
            yield _wrong(refusal(error))
    yield from _files(settings)
    yield from _machine(settings)


def prove(connection: psycopg.Connection, note: Note) -> Finding:
    """Whether the log that a note names still begins with the events that it is of."""
    checkpoint = note.checkpoint
    identity = find_identity(connection)
    if identity is None:
        return _wrong("The database has no install.")
    log = checkpoint.origin.removeprefix(f"{identity.origin}/")
    if fault := _origin_fault(connection, note, identity, log) or _size_fault(connection, log, checkpoint.size):
        return _wrong(fault)
    tree = inspection.tree(connection, log, checkpoint.size)
    if tree.size != checkpoint.size or tree.root() != checkpoint.root:
        return _wrong(
            f"The first {checkpoint.size} events of the log {log} are not those that the checkpoint was signed for: "
            "its history is another."
        )
    return Finding(is_right=True, sentence=f"The log {log} extends the checkpoint of its first {tree.size} events.")


def refusal(error: psycopg.Error) -> str:
    """What the database says against a question of ours, in one sentence, without the values in it."""
    return f"The database refuses: {said(error)}."


def _origin_fault(connection: psycopg.Connection, note: Note, identity: Identity, log: str) -> str | None:
    origin = note.checkpoint.origin
    if log == origin or "/" in log:
        return f"The checkpoint is of {origin}, which is no log of this install ({identity.origin}/...)."
    if not any(is_signed_by(note, kid) for kid in kids(connection, identity.node)):
        return (
            "The checkpoint is not signed by a key that this database knows to be the install's: it is forged, or the "
            "database is a backup from before a change of keys."
        )
    return None


def _size_fault(connection: psycopg.Connection, log: str, size: int) -> str | None:
    has = inspection.log_size(connection, log)
    if has is None and inspection.is_deleted(connection, log):
        return f"The log {log} was deleted."
    if has is None:
        return f"There is no log {log}: the database is a backup from before it was opened."
    if has < size:
        return (
            f"The log {log} has {has} events, but had {size} when the checkpoint was signed: the database is an older "
            "backup, or events were cut off."
        )
    return None


def _database(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    revision = inspection.revision(connection)
    if revision is not None and revision > head():
        yield _wrong(f"The schema is at {revision}, which a newer version of this server made; run that one.")
        return
    if revision != head():
        yield _wrong(f"The schema is at {revision or 'none'}, not at {head()}; synap migrate brings it there.")
        return
    yield Finding(is_right=True, sentence=f"The schema is at its newest version ({revision}).")
    identity = find_identity(connection)
    if identity is None:
        yield _wrong("The database has no install yet; synap serve makes one.")
        return
    yield _key(settings, identity)
    yield _writable(connection)
    yield _role(connection)
    if loose := inspection.loose_tips(connection):
        yield _wrong(f"Logs whose tip is not their last event under the key in force: {', '.join(loose)}.")
    else:
        yield Finding(is_right=True, sentence="Every log ends where its tip says, under the key in force.")
    yield from _kept(KeptNotes(settings.data_dir, identity.node), connection)
    if faults := audit_faults(connection):
        yield from map(_wrong, faults[:MAX_NAMED])
    else:
        yield Finding(is_right=True, sentence="Every audit is whole, and as the signed logs tell of it.")
    yield from _safety(connection)
    if settings.database_url is not None:
        yield from _advice(settings, connection)
    if not has_secret_ids(connection):
        yield Finding(is_right=True, sentence=FORMER_IDS, is_hint=True)
    yield _clock(connection)
    yield _webhooks(connection)
    yield from _secret(settings, connection)
    yield _keys(settings, connection)


def _answers(settings: Settings, version: str | None) -> str:
    if settings.database_url is not None:
        return f"The database answers (PostgreSQL {version})."
    return (
        f"The embedded database answers (PostgreSQL {version}, from a package that may be behind; in production use a "
        "PostgreSQL of your own with its newest minor release)."
    )


def _role(connection: psycopg.Connection) -> Finding:
    has = power(connection)
    if not has.is_owner:
        return Finding(is_right=True, sentence=f"The role {has.role} cannot switch off the triggers that keep the log.")
    is_ = "is a superuser" if has.is_superuser else "owns the log's tables"
    return Finding(
        is_right=True,
        sentence=f"The role {has.role} {is_}, and could switch off the triggers that keep the log; let another role "
        "serve (synap migrate --grant ROLE).",
        is_hint=True,
    )


def _kept(notes: KeptNotes, connection: psycopg.Connection) -> Iterator[Finding]:
    """Whether each log extends the checkpoint that this machine keeps of it: every hash is read."""
    kept = notes.read()
    if not kept:
        yield Finding(
            is_right=True,
            sentence=f"No checkpoint is kept in {notes.path} yet; a server writes the first when it runs.",
        )
        return
    wrong = [fault for log, note in kept.items() if (fault := _kept_fault(connection, log, note)) is not None]
    stopped = inspection.stopped_logs(connection)
    if stopped:
        wrong.append(
            f"Logs that lost events, to which nothing is appended: {', '.join(stopped[:MAX_NAMED])}; restore the "
            "database, or accept the loss: synap node accept-rollback."
        )
    yield from map(_wrong, wrong)
    if not wrong:
        yield Finding(is_right=True, sentence=f"The {len(kept)} logs extend the checkpoints kept in {notes.path}.")


def _kept_fault(connection: psycopg.Connection, log: str, note: KeptNote | KeptNoteError) -> str | None:
    if isinstance(note, KeptNoteError):
        return str(note)
    if note.is_settled_by(inspection.accepted_losses(connection, log)):
        return None
    if inspection.log_size(connection, log) is None and inspection.is_deleted_by_audit(connection, log):
        return None
    finding = prove(connection, parse(note.note))
    return None if finding.is_right else finding.sentence


def _safety(connection: psycopg.Connection) -> Iterator[Finding]:
    if unsafe := inspection.unsafe_settings(connection):
        yield _wrong(
            f"PostgreSQL runs with {', '.join(f'{name}=off' for name in unsafe)}: a power cut may take away what was "
            "answered as stored, or the whole database; turn it on."
        )
    else:
        yield Finding(is_right=True, sentence="PostgreSQL keeps what it commits (fsync, full_page_writes).")


def _writable(connection: psycopg.Connection) -> Finding:
    if inspection.is_read_only(connection):
        return _wrong("The database is read-only, a standby perhaps: every write is refused until it is not.")
    if missing := inspection.missing_right(connection):
        table, right = missing
        return _wrong(f"The role of the database lacks the right to {right} on the table {table}; grant it.")
    return Finding(is_right=True, sentence="The database takes what the server writes.")


def _advice(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    """How the settings of a PostgreSQL that is not ours could be better."""
    hints = list(advice(connection, connections(settings)))
    for hint in hints:
        yield Finding(is_right=True, sentence=hint, is_hint=True)
    if not hints:
        yield Finding(is_right=True, sentence="PostgreSQL is set as this server needs it.")


def _clock(connection: psycopg.Connection) -> Finding:
    ahead = inspection.clock_ahead_seconds(connection)
    if abs(ahead) > MAX_CLOCK_SECONDS:
        return _wrong(
            f"The database's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's; set "
            "both by NTP, since keys end and webhooks come due by the one, and events get their times from the other."
        )
    if late := inspection.late_tips(connection):
        return _wrong(
            f"Logs whose last event has a time that is still to come: {', '.join(late)}; until then every new one gets "
            "a time a microsecond later. A clock was wrong, or is."
        )
    return Finding(is_right=True, sentence="This machine and the database agree about the time.")


def _webhooks(connection: psycopg.Connection) -> Finding:
    if disabled := inspection.disabled_subscriptions(connection):
        return _wrong(
            f"Webhooks that were switched off, since they failed too long: {', '.join(disabled)}; mend their "
            "receivers, then call subscriptions.resume, or subscriptions.delete."
        )
    pending, overdue_seconds = inspection.owed_deliveries(connection)
    if overdue_seconds > MAX_OVERDUE_SECONDS:
        return _wrong(
            f"Webhook deliveries wait ({pending}), the oldest for {overdue_seconds:.0f} s longer than it should: only "
            "a running server sends them; see its log."
        )
    return Finding(is_right=True, sentence=f"No webhook delivery is late ({pending} wait for their time).")


def _secret(settings: Settings, connection: psycopg.Connection) -> Iterator[Finding]:
    """Whether the install secret is the database's. If it cannot be read, that is said elsewhere."""
    with suppress(SecretError):
        secret = read_secret(settings.secret_path)
        try:
            require_secret(connection, settings.secret_path)
        except SecretError as error:
            yield _wrong(str(error))
            return
        yield Finding(is_right=True, sentence="The install secret is that of the database.")
        if shut := unopened(connection, secret):
            yield _wrong(
                f"The secrets of webhooks do not open with {settings.secret_path}: {', '.join(shut[:MAX_NAMED])}; call "
                "subscriptions.rotateSecret for each."
            )
        else:
            yield Finding(is_right=True, sentence="The secret of every webhook opens with the install secret.")


def _keys(settings: Settings, connection: psycopg.Connection) -> Finding:
    valid, every = inspection.keys(connection)
    if not valid:
        return _wrong("No key is in force, so nobody can call; synap keys create makes one.")
    try:
        token = settings.control_token_path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = ""
    except (OSError, ValueError) as error:
        return _wrong(f"The control token {settings.control_token_path} cannot be read ({type(error).__name__}).")
    if token and not inspection.is_key(connection, token):
        return _wrong(
            f"The control token in {settings.control_token_path} is not that of a key in force; synap keys create "
            "makes another one, and the file may be removed."
        )
    return Finding(is_right=True, sentence=f"{valid} of {every} keys are in force; the others have ended.")


def _key(settings: Settings, identity: Identity) -> Finding:
    try:
        signer = Keyring(settings.node_key_path).signer(identity.kid)
    except (ValueError, OSError) as error:
        return _wrong(f"The signing key cannot be read: {error}.")
    if signer is None:
        return _wrong(f"The key in force {identity.kid} is not in {settings.node_key_path}; restore it.")
    return Finding(is_right=True, sentence=f"The key in force {identity.kid} is here.")


def _files(settings: Settings) -> Iterator[Finding]:
    try:
        read_secret(settings.secret_path)
        yield Finding(is_right=True, sentence=f"The install secret {settings.secret_path} can be read.")
    except SecretError as error:
        yield Finding(is_right=False, sentence=str(error))
    try:
        faults = list(openings(settings))
        there = len(secrets(settings))
    except OSError as error:
        yield _wrong(f"{error.filename} cannot be looked at: {error.strerror}.")
        return
    yield from map(_wrong, faults)
    if not faults:
        yield Finding(is_right=True, sentence=f"Only this user may read the {there} files of keys and secrets.")


def _machine(settings: Settings) -> Iterator[Finding]:
    free = _free_bytes(settings.data_dir)
    if settings.database_url is None and free is not None:
        said = f"{free / 2**30:.1f} GiB are free on the disk of {settings.data_dir}"
        if free < MIN_FREE_BYTES:
            yield _wrong(f"Only {said}; make room before the database stops.")
        else:
            yield Finding(is_right=True, sentence=f"{said}.")
    for name, port in (("SYNAP_PORT", settings.port), ("SYNAP_LEDGER_PORT", settings.ledger_port)):
        if port:
            yield _port(settings.host, name, port)
    try:
        load_extensions(settings.extensions)
    except SettingsError as error:
        yield _wrong(str(error))
    else:
        if settings.extensions:
            yield Finding(is_right=True, sentence=f"The extensions load: {', '.join(settings.extensions)}.")


def _free_bytes(path: Path) -> int | None:
    """On the disk of a directory; None where there is none, or it is closed to us."""
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def _port(host: str, name: str, port: int) -> Finding:
    """Whether a port is free, or ours."""
    error = port_error(host, port)
    if error is None:
        return Finding(is_right=True, sentence=f"Port {port} on {host} is free.")
    if _is_served(host, port):
        return Finding(is_right=True, sentence=f"A server answers at {host}, port {port}.")
    return _wrong(unusable(host, port, name, error))


def _is_served(host: str, port: int) -> bool:
    """Whether one of our servers listens there: each of its answers has an id."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/")
        return "x-request-id" in connection.getresponse().headers
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wrong(sentence: str) -> Finding:
    return Finding(is_right=False, sentence=sentence)
