"""What `synap doctor` checks: an install as it is, without changing it."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress

from app.cli.arguments import UsageError
from app.cli.doctor.checkpoints import examine_kept
from app.cli.doctor.finding import MAX_NAMED, Finding, wrong
from app.cli.doctor.machine import files, machine
from app.cli.doctor.witnesses import examine_witnesses
from app.cli.tokens import MissingTokenFile, token_in
from app.ledger.kept import KeptNotes
from app.ledger.keyring import Keyring
from app.server.install import observed, processes
from app.settings import Settings
from app.store.audit.check import audit_faults
from app.store.install import inspection
from app.store.install.heads_check import examine_heads
from app.store.install.idempotency import has_secret_ids
from app.store.install.install import Identity, InstallError, connect, find_identity, head
from app.store.install.parts import reachable
from app.store.install.secret import SecretError, read_secret, require_secret, unopened
from app.store.postgres.connection_limit import connected_processes, shortage
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.driver import Connection, DatabaseError, refusal
from app.store.postgres.nodes import Part
from app.store.postgres.roles import power
from app.store.postgres.tuning import advice

MAX_CLOCK_SECONDS = 5.0
"""The largest difference between the clocks of this machine and the database."""

MAX_OVERDUE_SECONDS = 600.0
"""How long a delivery may be overdue. Servers send deliveries at once, unless they queue."""

FORMER_IDS = (
    "Events with an Idempotency-Key still get ids that anyone can compute, because servers of an earlier version need "
    "that; when the last of these has stopped, run: synap migrate."
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Check the install of `settings` without changing it, as far as that is cheap. Servers may run."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(connect(observed(settings)))
            version = connection.info.parameter_status("server_version")
            yield Finding(is_right=True, sentence=_answers(settings, version))
            yield from _database(settings, connection)
        except (DataDirectoryError, InstallError) as error:
            yield Finding(is_right=False, sentence=str(error))
        except OSError as error:
            yield wrong(f"The data directory {settings.data_dir} cannot be used: {error.strerror}.")
        except DatabaseError as error:
            yield wrong(refusal(error))
    yield from files(settings)
    yield from machine(settings)


def _schema(connection: Connection) -> Finding:
    """Whether this version works with the schema."""
    revision = inspection.revision(connection)
    if revision == head():
        return Finding(is_right=True, sentence=f"The schema is at its newest version ({revision}).")
    if revision is not None and inspection.serves(connection, head()):
        hint = "when no older server runs, run: synap migrate" if revision < head() else "a newer version made it"
        return Finding(is_right=True, is_hint=True, sentence=f"The schema is at {revision}, not at {head()}; {hint}.")
    if revision is not None and revision > head():
        return wrong(f"The schema is at {revision}, which a newer version of this server made; run that one.")
    return wrong(f"The schema is at {revision or 'no version'}, not at {head()}; run: synap migrate.")


def _database(settings: Settings, connection: Connection) -> Iterator[Finding]:
    schema = _schema(connection)
    yield schema
    if not schema.is_right:
        return
    identity = find_identity(connection)
    if identity is None:
        yield wrong("The database has no install yet; run: synap init.")
        return
    yield _key(settings, identity)
    yield _writable(connection)
    yield _role(connection)
    yield _guards(connection)
    part, missing = reachable(connection)
    yield from map(_missing, missing)
    if loose := inspection.loose_tips(connection, part):
        yield wrong(
            f"The tips of these logs are not their last events under the signing key in force: {', '.join(loose)}; "
            "restore the database from a backup."
        )
    else:
        yield Finding(is_right=True, sentence="The tip of every log is its last event, under the signing key in force.")
    yield from examine_kept(KeptNotes(settings.data_dir, identity.node), connection, part, missing)
    if faults := audit_faults(connection, part):
        yield from map(wrong, faults[:MAX_NAMED])
    else:
        yield Finding(is_right=True, sentence="Every audit is complete, and agrees with the signed logs.")
    yield from _heads(connection)
    yield from examine_witnesses(settings, connection, identity)
    yield from _safety(connection)
    if settings.database_url is not None:
        yield from _advice(settings, connection)
    if not has_secret_ids(connection):
        yield Finding(is_right=True, sentence=FORMER_IDS, is_hint=True)
    yield _clock(connection, part)
    yield _webhooks(connection, part)
    yield from _secret(settings, connection, part)
    yield _keys(settings, connection)


def _missing(part: Part) -> Finding:
    """A node of a distributed database that does not answer. The checks leave out its workspaces."""
    logs = list(part.workspaces or ())
    more = f" and {len(logs) - MAX_NAMED} others" if len(logs) > MAX_NAMED else ""
    return wrong(
        f"The node {part.node} of the database does not answer, so these workspaces are not served and not checked: "
        f"{', '.join(logs[:MAX_NAMED])}{more}; start it."
    )


def _answers(settings: Settings, version: str | None) -> str:
    if settings.database_url is not None:
        return f"The database answers (PostgreSQL {version})."
    return (
        f"The embedded database answers (PostgreSQL {version}, from a package that may be behind; in production use a "
        "PostgreSQL of your own with its newest minor release)."
    )


def _role(connection: Connection) -> Finding:
    has = power(connection)
    if not has.is_owner:
        return Finding(
            is_right=True, sentence=f"The role {has.role} cannot switch off the triggers that protect the log."
        )
    is_ = "is a superuser" if has.is_superuser else "owns the log's tables"
    return Finding(
        is_right=True,
        sentence=f"The role {has.role} {is_}, so it could switch off the triggers that protect the log; let another "
        "role serve (synap migrate --grant ROLE).",
        is_hint=True,
    )


def _heads(connection: Connection) -> Iterator[Finding]:
    found = examine_heads(connection)
    yield from map(wrong, found.faults[:MAX_NAMED])
    if found.events and not found.faults:
        yield Finding(is_right=True, sentence=f"Every log begins with what _node anchored ({found.events} times).")


def _safety(connection: Connection) -> Iterator[Finding]:
    if unsafe := inspection.unsafe_settings(connection):
        yield wrong(
            f"PostgreSQL runs with {', '.join(f'{name}=off' for name in unsafe)}: a power cut may lose acknowledged "
            "events, or the whole database; turn it on."
        )
    else:
        yield Finding(
            is_right=True, sentence="PostgreSQL loses no commit in a power cut (fsync, full_page_writes are on)."
        )


def _writable(connection: Connection) -> Finding:
    if inspection.is_read_only(connection):
        return wrong("The database is read-only, perhaps a standby; every write fails until it accepts writes.")
    if missing := inspection.missing_right(connection):
        table, right = missing
        return wrong(f"The role of the database lacks the right to {right} on the table {table}; grant it.")
    return Finding(is_right=True, sentence="The database accepts writes.")


def _advice(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """How the settings of an external PostgreSQL could be better."""
    hints = list(advice(connection))
    serving = max(processes(settings), connected_processes(connection))
    if few := shortage(connection, serving, settings.database_connections):
        hints.append(few)
    for hint in hints:
        yield Finding(is_right=True, sentence=hint, is_hint=True)
    if not hints:
        yield Finding(is_right=True, sentence="The settings of PostgreSQL suit this server.")


def _guards(connection: Connection) -> Finding:
    """Whether the database refuses to change or delete what is stored."""
    gone, off = inspection.guards_off(connection)
    if gone:
        return wrong(
            f"The triggers that protect the log are missing: {', '.join(gone)}; restore the database from a backup, "
            "and compare the logs with checkpoints that you kept (synap doctor --checkpoint NOTE)."
        )
    if off:
        statements = (f"ALTER TABLE {inspection.GUARDS[name]} ENABLE ALWAYS TRIGGER {name}" for name in off)
        return wrong(
            "Triggers that protect the log are switched off; run, as the owner of the tables, "
            f"{'; '.join(statements)}. Then compare the logs with checkpoints that you kept (synap doctor --checkpoint "
            "NOTE)."
        )
    return Finding(is_right=True, sentence="The triggers that protect the log are on.")


def _clock(connection: Connection, part: Part) -> Finding:
    ahead = inspection.clock_ahead_seconds(connection)
    if abs(ahead) > MAX_CLOCK_SECONDS:
        return wrong(
            f"The database's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's; "
            "synchronise both by NTP: keys expire and webhooks fall due by the database's clock, and events get their "
            "times from the server's."
        )
    if late := inspection.late_tips(connection, part):
        return wrong(
            f"The last event of these logs has a time in the future: {', '.join(late)}; until that time, each new "
            "event gets a time one microsecond after the event before it. A clock was wrong, or still is."
        )
    return Finding(is_right=True, sentence="The clocks of this machine and of the database agree.")


def _webhooks(connection: Connection, part: Part) -> Finding:
    if disabled := inspection.disabled_subscriptions(connection, part):
        return wrong(
            f"The server disabled these webhooks: {', '.join(disabled)}; subscriptions.get returns the reason. Remove "
            "it and call subscriptions.resume, or call subscriptions.delete."
        )
    pending, overdue_seconds = inspection.owed_deliveries(connection, part)
    if overdue_seconds > MAX_OVERDUE_SECONDS:
        return wrong(
            f"Webhook deliveries are overdue ({pending} wait), the oldest by {overdue_seconds:.0f} s: only a running "
            "server sends them; see its log."
        )
    return Finding(is_right=True, sentence=f"No webhook delivery is late ({pending} wait for their time).")


def _secret(settings: Settings, connection: Connection, part: Part) -> Iterator[Finding]:
    """Whether the install secret is the database's. If it cannot be read, `files` reports that."""
    with suppress(SecretError):
        secret = read_secret(settings.secret_path)
        try:
            require_secret(connection, settings.secret_path)
        except SecretError as error:
            yield wrong(str(error))
            return
        yield Finding(is_right=True, sentence="The install secret is that of the database.")
        if shut := unopened(connection, secret, part):
            yield wrong(
                f"The install secret in {settings.secret_path} does not open the secrets of these webhooks: "
                f"{', '.join(shut[:MAX_NAMED])}; call subscriptions.rotateSecret for each."
            )
        else:
            yield Finding(is_right=True, sentence="The install secret opens the secret of every webhook.")


def _keys(settings: Settings, connection: Connection) -> Finding:
    valid, every = inspection.keys(connection)
    if not valid:
        return wrong("No API key is valid, so nobody can call the server; create one: synap keys create.")
    try:
        token = token_in(settings.control_token_path, called="control token")
    except MissingTokenFile:
        token = ""
    except UsageError as error:
        return wrong(str(error))
    if token and not inspection.is_key(connection, token):
        return wrong(
            f"The control token in {settings.control_token_path} belongs to no valid key; create another key with "
            "synap keys create, and remove the file."
        )
    return Finding(is_right=True, sentence=f"{valid} of {every} API keys are valid.")


def _key(settings: Settings, identity: Identity) -> Finding:
    try:
        signer = Keyring(settings.node_key_path).signer(identity.kid)
    except (ValueError, OSError) as error:
        return wrong(f"The signing key cannot be read: {error}.")
    if signer is None:
        return wrong(f"The signing key in force, {identity.kid}, is not in {settings.node_key_path}; restore it.")
    return Finding(is_right=True, sentence=f"The signing key in force, {identity.kid}, is here.")
