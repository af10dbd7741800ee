"""The command `synap`. What the operator did wrong is one sentence on standard error and exit code 2."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import msgspec
import psycopg
from cyclopts import App, Parameter

from app.cli.cores import CoreError
from app.cli.doctor import examine, prove, refusal
from app.cli.export import ExportingError, Part, export_log
from app.cli.importing.command import Order, complaints, import_file, summary
from app.cli.importing.command import exit_code as import_exit_code
from app.cli.importing.reader import ImportingError
from app.cli.ports import port_error, unusable
from app.cli.tail import TailError, Wanted, follow, is_local, printer
from app.cli.terminal import EXIT_UNREAD, Bar
from app.cli.verify import (
    NOT_PINNED,
    UnreadableError,
    audit_exit_code,
    exit_code,
    judged,
    of_node,
    read_audit,
    read_bundle,
    read_consistency_proof,
    read_note,
    refuse_unreadable,
    report,
    report_audit,
)
from app.contract.typescript import typescript as typescript_contract
from app.ledger.audit import NoAuditError, verify_audit
from app.ledger.chain import NODE_LOG
from app.ledger.kept import KeptNotes
from app.ledger.keyring import Keyring
from app.ledger.verify import Verdict, kind_of
from app.ledger.verify.proof import Kind
from app.server.extensions import load_extensions
from app.server.install import observed, ready
from app.settings import Settings, SettingsError
from app.signals import stop
from app.store.audit.log import enter
from app.store.install.deletion import delete_workspace
from app.store.install.idempotency import has_secret_ids
from app.store.install.install import CONTROL_KEY_ID, DEFAULT_WORKSPACE, InstallError, connect
from app.store.install.keys import insert_key, list_keys, new_key_id, new_token, revoke_key
from app.store.install.rollback import accept_losses
from app.store.install.rotation import adopt_key, rotate_key
from app.store.install.secret import SecretError, adopt_secret
from app.store.install.workspaces import WorkspaceError, create_workspace, list_workspaces
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.roles import grant_serving
from app.surfaces.shared.statuses import TRPC_CODES
from app.telemetry.logs import configure_logs
from procedures.described import contract as json_schema_contract
from procedures.registry import registry
from schemas.base import ShortText
from schemas.ledger import Rotation
from schemas.principal import EVERY, Scope, WorkspaceSlug

cli = App(
    name="synap",
    help="An append-only event log. Settings come from the environment (SYNAP_…).",
    version=lambda: f"synap {version('synap-events')}",
    version_flags=["--version"],
)
keys = App(name="keys", help="API keys.")
workspaces = App(name="workspaces", help="Workspaces, each with a log of its own.")
node = App(name="node", help="The install's signing key.")
cli.command(keys)
cli.command(workspaces)
cli.command(node)

Yes = Annotated[bool, Parameter(negative="")]


class UsageError(Exception):
    """The command cannot be carried out; the message is one sentence."""


REFUSALS = (
    SettingsError,
    DataDirectoryError,
    InstallError,
    SecretError,
    WorkspaceError,
    UnreadableError,
    CoreError,
    UsageError,
    ImportingError,
    ExportingError,
    TailError,
)
"""What tells the operator in one sentence why a command cannot be carried out."""


PORT_SECONDS = 2.0
"""How long a start waits for a port that is in use."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Why standard output takes no more. A file that is full has been named by then."""


def main() -> None:
    """Run the command that was given, and end with its exit code."""
    configure_logs()
    try:
        try:
            cli()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # when Python does it at its end, what goes wrong is no sentence
    except REFUSALS as error:
        print(f"synap: {error}", file=sys.stderr)
        sys.exit(2)
    except psycopg.Error as error:
        print(f"synap: {refusal(error)}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        _forget_output()  # who read it has gone, as `head` does
        sys.exit(EXIT_UNREAD)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _forget_output()
        print(f"synap: The output cannot be written: {error.strerror}.", file=sys.stderr)
        sys.exit(2)


@cli.command
def serve() -> None:
    """Set up what is missing and serve until interrupted."""
    from app.server.workers import run  # noqa: PLC0415 - takes longer than all of most other commands

    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    _check_port(settings, "PORT", settings.port)
    if settings.ledger_port:
        _check_port(settings, "LEDGER_PORT", settings.ledger_port)
    with ready(settings, serving=True) as install:
        run(settings, install)


@cli.command
def migrate(*, grant: str | None = None) -> None:
    """Bring the database's schema to its newest version.

    Parameters
    ----------
    grant
        A role that servers log in as: grant it all that a server does, and nothing more.
    """
    with _administered() as install:
        if grant is not None:
            grant_serving(install.connection, grant)
        print("The schema is at its newest version.")
        if not has_secret_ids(install.connection):
            print("A server of an earlier version still uses this database; run this again when it has stopped.")


@cli.command
def contract(*, typescript: Yes = False, json_schema: Yes = False) -> None:
    """Write the contract of the tRPC door to standard output.

    Parameters
    ----------
    typescript
        As a TypeScript declaration of `AppRouter`, for `@trpc/client` 11.
    json_schema
        As JSON: every procedure, its input and its output as JSON Schema.
    """
    if typescript == json_schema:
        raise UsageError("Say which contract: synap contract --typescript or --json-schema.")
    settings = Settings.from_environment()
    load_extensions(settings.extensions)
    if json_schema:
        print(msgspec.json.format(msgspec.json.encode(json_schema_contract(registry()))).decode())
    else:
        print(typescript_contract(registry(), transformer=settings.transformer, error_codes=TRPC_CODES), end="")


@keys.command(name="create")
def create_key(
    *,
    user: str,
    scope: Annotated[
        list[Scope], Parameter(negative="", name_transform=lambda name: Scope.__members__.get(name, name))
    ],
    workspace: Annotated[list[str] | None, Parameter(negative="")] = None,
    expires_in_seconds: int | None = None,
) -> None:
    """Make a key and print its token, which is never shown again.

    Parameters
    ----------
    user
        The user id that the key acts for.
    scope
        What it may do; repeat for more. `*` is everything.
    workspace
        Where it may act; repeat for more, the first is its default. `*` is every workspace. Default: `default`.
    expires_in_seconds
        When it ends by itself.
    """
    names = workspace or [DEFAULT_WORKSPACE]
    _check_user(user)
    if expires_in_seconds is not None and not 0 < expires_in_seconds < 2**31:
        raise UsageError("--expires-in-seconds must be 1 or more.")
    with _administered() as install:
        connection = install.connection
        known = {slug for slug, _ in list_workspaces(connection)} | {EVERY}
        if unknown := [name for name in names if name not in known]:
            raise UsageError(
                f"There is no workspace {unknown[0]!r}; make it with: synap workspaces create {unknown[0]}."
            )
        key_id = new_key_id()
        token = new_token(key_id)
        expires_at = expires_in_seconds and datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
        insert_key(
            connection, key_id, token, user_id=user, scopes=scope, workspaces=names, expires_at=expires_at or None
        )
    print(token)


@keys.command(name="list")
def show_keys() -> None:
    """Print every key as one JSON object a line, without its token."""
    with _administered() as install:
        for key in list_keys(install.connection):
            print(msgspec.json.encode(key).decode())


@keys.command(name="revoke")
def revoke(key_id: str, /) -> None:
    """End a key for good. Every server refuses it within five seconds.

    Parameters
    ----------
    key_id
        The middle part of its token, as `synap keys list` shows it.
    """
    with _administered() as install:
        if not key_id.isascii() or not revoke_key(install.connection, key_id):
            raise UsageError(f"There is no key {key_id!r}; see: synap keys list.")
    print(f"Revoked {key_id}.")


@workspaces.command(name="create")
def make_workspace(slug: str, /) -> None:
    """Make a workspace, whose slug never changes.

    Parameters
    ----------
    slug
        1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit.
    """
    try:
        msgspec.convert(slug, WorkspaceSlug)
    except msgspec.ValidationError:
        raise UsageError("A slug has 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit.") from None
    with _administered() as install, install.connection.transaction():
        if not create_workspace(install.connection, slug, install.keys):
            raise UsageError(f"The workspace {slug!r} exists.")
        enter(install.connection, "workspace.created", {"workspace": slug}, [NODE_LOG, slug])
    print(f"Created {slug}.")


@workspaces.command(name="list")
def show_workspaces() -> None:
    """Print every workspace's slug, one a line."""
    with _administered() as install:
        for slug, _ in list_workspaces(install.connection):
            print(slug)


@workspaces.command(name="delete")
def remove_workspace(slug: str, /, *, yes: Yes = False) -> None:
    """Delete a workspace with all its events, for good. Its audit stays, and its slug is never used again.

    Parameters
    ----------
    slug
        Of the workspace.
    yes
        Do it.
    """
    if not yes:
        raise UsageError(
            f"This deletes every event of the workspace {slug!r}, its webhooks, and the keys that are its alone, for "
            "good; to do it, say --yes."
        )
    with _administered() as install:
        events = delete_workspace(install.connection, slug)
    print(f"Deleted {slug}: {events} events.")


@node.command(name="rotate-key")
def rotate() -> None:
    """Replace the signing key by a new one, while servers run."""
    with _administered() as install:
        _tell(rotate_key(install.connection, install.keys), install.keys)


@node.command(name="adopt-key")
def adopt(*, yes: Yes = False) -> None:
    """Go on with a new signing key where the one in force is lost.

    The new one is that in the key file, or is made where there is none.

    Parameters
    ----------
    yes
        Do it.
    """
    if not yes:
        raise UsageError(
            "This is for a signing key that is lost: nobody can tell then whether the new one is this install's, and "
            "every verifier of its logs reports the break for ever; to do it, say --yes."
        )
    with _administered(recovering=True) as install:
        _tell(adopt_key(install.connection, install.keys), install.keys)


@node.command(name="adopt-secret")
def adopt_lost_secret(*, yes: Yes = False) -> None:
    """Go on with a new install secret if the one of the database is lost.

    The new one is that in the secret file, or is made if there is no file.

    Parameters
    ----------
    yes
        Do it.
    """
    if not yes:
        raise UsageError(
            "This is for an install secret that is lost: cursors that callers hold end, a retry with an "
            "Idempotency-Key from before is a second event, and the secret of every webhook has to be set again; to do "
            "it, say --yes."
        )
    with _administered(recovering=True) as install:
        adopt_secret(install.connection, install.secret_path)
    print(
        f"The install secret is the one in {install.secret_path} now. Copy it to every machine of this database, start "
        "their servers again, and call subscriptions.rotateSecret for each webhook."
    )


@node.command(name="accept-rollback")
def accept() -> None:
    """Let logs continue that lost events, after a restore that was meant or a failover that lost commits.

    Each of them says for ever which checkpoint it lost, and every verifier reports it.
    """
    with _administered() as install:
        losses = accept_losses(install.url, install.connection, install.notes, install.keys, install.origin)
    for loss in losses:
        if loss.is_gone:
            print(
                f"The log {loss.log}, which had {loss.checkpoint.size} events, is gone altogether: make the workspace "
                f"again with synap workspaces create {loss.log}, and repeat this command."
            )
        else:
            print(f"The log {loss.log} goes on without what its checkpoint of {loss.checkpoint.size} events covers.")
    if not losses:
        print("Every log extends its kept checkpoint: there is nothing to accept.")


@cli.command(name="import")
def import_(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    workspace: str = DEFAULT_WORKSPACE,
    user: str = CONTROL_KEY_ID,
    name: str | None = None,
    from_line: int = 1,
    skip_bad: Path | None = None,
) -> None:
    """Log the events of a file, each as `events.log` takes it: one JSON object a line, or the elements of a JSON array.

    The file may be compressed by gzip. Run again, it stores what is missing and nothing twice. Exit code 0 if all is
    stored, 1 if a line is refused, 2 if it cannot go on, 130 if Ctrl-C interrupted it, 143 if SIGTERM did.

    Parameters
    ----------
    file
        The file, or `-` for standard input.
    workspace
        Where to.
    user
        Whose events they are that name no `userId`.
    name
        By which the file's lines are known again, where they have no `id`: the same text at the same line under the
        same name is one event. Default: what the file is called. Standard input without a name is new in every run.
    from_line
        Where to begin, in an array by its elements. All before that was imported.
    skip_bad
        A file for the lines that are refused, with the reasons: a new one, or that of an earlier run of this import.
        Without it the first one ends the import.
    """
    _check_user(user)
    _check_workspace(workspace)
    if from_line < 1:
        raise UsageError("--from-line must be 1 or more.")
    path = None if file == "-" else Path(file)
    called = name or (path.name if path else f"stdin-{uuid4()}")
    order = Order(path=path, name=called, workspace=workspace, user=user, from_line=from_line, skip_bad=skip_bad)
    outcome = import_file(Settings.from_environment(), order)
    for line in complaints(order, outcome):
        print(line, file=sys.stderr)
    print(summary(order, outcome))
    sys.exit(import_exit_code(outcome))


@cli.command(name="export")
def export(
    *,
    workspace: str = DEFAULT_WORKSPACE,
    from_seq: int | None = None,
    to_seq: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    force: Yes = False,
) -> None:
    """Write the log of this install, or a part of it, as a signed bundle, which `synap verify` checks.

    Parameters
    ----------
    workspace
        Whose log.
    from_seq
        The first event. Default: that of the log.
    to_seq
        The last event. Default: that of the log now.
    output
        A file, which is there whole or not at all. Default: standard output.
    force
        Replace the file where it is there already.
    """
    _check_workspace(workspace)
    for option, seq in (("--from-seq", from_seq), ("--to-seq", to_seq)):
        if seq is not None and not 0 <= seq < 2**53:
            raise UsageError(f"{option} must be 0 or more.")
    events = export_log(Settings.from_environment(), Part(workspace, from_seq, to_seq), output, force=force)
    if output is not None:
        print(f"{events} events of the log {workspace} are in {output}.")


@cli.command(name="tail")
def tail(
    *,
    url: str | None = None,
    workspace: str | None = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    filter_: Annotated[str | None, Parameter(name="--filter")] = None,
    start: str = "now",
    json: Yes = False,
    token_file: Path | None = None,
) -> None:
    """Follow the log of a server, each event on a line, until interrupted.

    Parameters
    ----------
    url
        Of the server. Default: that of this machine's settings.
    workspace
        Whose log. Default: the first one of the token's key.
    type_
        Events of this type alone; `*` stands for a segment.
    filter_
        Events that meet this filter alone, as JSON.
    start
        Where to begin: `now`, `beginning`, a seq, a time, or behind the id of an event or a cursor.
    json
        Each event as JSON.
    token_file
        Where a token is. Default: the environment variable SYNAP_TOKEN, else, on this machine, the control token.
    """
    settings = Settings.from_environment()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = url or f"http://{host}:{settings.port}"
    token = _token(token_file)
    if not token and is_local(url):
        with suppress(OSError, ValueError):
            token = settings.control_token_path.read_text(encoding="ascii").strip()
    wanted = Wanted(
        url=url,
        token=token,
        workspace=workspace,
        type=type_,
        filter=filter_,
        start=start,
        superjson=settings.transformer == "superjson",
    )
    shown = printer(json=json)
    for event in follow(wanted, lambda said: print(f"synap: {said}", file=sys.stderr, flush=True)):
        with stop.finishing():  # a line is written whole
            print(shown(event), flush=True)
        stop.check()


@cli.command(name="doctor")
def doctor(*, checkpoint: Path | None = None) -> None:
    """Look at the install without changing it; exit code 1 where something is wrong.

    Parameters
    ----------
    checkpoint
        A file with a checkpoint's note that was kept elsewhere: look whether its log still extends it.
    """
    settings = Settings.from_environment()
    if checkpoint is None:
        findings = list(examine(settings))
    else:
        note = read_note(checkpoint)
        with connect(observed(settings)) as connection:
            findings = [prove(connection, note)]
    for finding in findings:
        print(finding)
    if not all(finding.is_right for finding in findings):
        sys.exit(1)


@cli.command(name="verify")
def verify(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    node: str | None = None,
    checkpoint: Path | None = None,
    consistency: Path | None = None,
    log: str | None = None,
    audit: str | None = None,
    token_file: Path | None = None,
) -> None:
    """Check an export, a proof, or the log of a server: every hash, link, signature and change of keys.

    A proof is the answer of a ledger: that one event is in its log, or that the log extends an earlier checkpoint.
    Exit code 0 if all is verified, 1 if something is broken, 2 if there is no export or proof to read, and 3 if all is
    verified except for a key that was lost, lost events that were accepted, a missing body, or an audit that the log
    does not mention.

    Parameters
    ----------
    source
        A file (gzip too), `-` for standard input, or the URL of a ledger (http://127.0.0.1:7777/v1) or of an export.
    node
        Whose log it has to be (did:key:z…). Anyone can sign a log of their own, so without it standard error says that
        the log is not pinned.
    checkpoint
        A file with a checkpoint that was kept elsewhere, its C2SP note or the JSON of it: the log has to begin with all
        that it covers. A consistency proof needs it.
    consistency
        A file with the consistency proof from that checkpoint to the one in the export: needed if the export is only a
        part of the log.
    log
        Which workspace's log of a ledger.
    audit
        The log's audit, checked as well, against what the log says of it: a file with pages of `GET /audit`, one on
        each line, or the URL of a ledger.
    token_file
        Where a token for the ledger is; default: the environment variable SYNAP_TOKEN.
    """
    text = read_bundle(source, log=log, token=_token(token_file))
    kind = kind_of(text)
    _check_options(kind, has_checkpoint=checkpoint is not None, has_consistency=consistency is not None, audit=audit)
    kept = None if checkpoint is None else read_note(checkpoint)
    proof = None if consistency is None else read_consistency_proof(consistency)
    with Bar("events") as bar:
        verdict = judged(text, kind, lambda n, of: bar.show(n, n, of), extends=kept, consistency=proof)
    refuse_unreadable(source, text, verdict)
    verdict = of_node(verdict, node)
    for line in report(verdict, kind, extends=kept):
        print(line)
    if node is None and verdict.broken is None:
        print(f"synap: {NOT_PINNED}", file=sys.stderr)
    code = exit_code(verdict)
    if audit is not None and verdict.broken is None:
        code = _verify_audit(audit, verdict, _token(token_file)) or code
    sys.exit(code)


def _check_options(kind: Kind, *, has_checkpoint: bool, has_consistency: bool, audit: str | None) -> None:
    if kind == "proof" and has_checkpoint:
        raise UsageError("--checkpoint is for an export or a consistency proof, not for the proof of one event.")
    if kind == "consistency" and not has_checkpoint:
        raise UsageError("A consistency proof needs the earlier checkpoint: --checkpoint NOTE.")
    if has_consistency and (kind != "bundle" or not has_checkpoint):
        raise UsageError("--consistency is for an export, together with --checkpoint.")
    if kind != "bundle" and audit is not None:
        raise UsageError("--audit is for an export, not for a proof.")


def _verify_audit(source: str, verdict: Verdict, token: str) -> int:
    """Check the audit of a log that was verified; the exit code."""
    try:
        found = verify_audit(read_audit(source, verdict.log, token), verdict.log, verdict.tips)
    except NoAuditError as error:
        raise UsageError(f"{source} {error}.") from None
    print(report_audit(found))
    return audit_exit_code(found)


class _Administration(msgspec.Struct, frozen=True):
    """An install, to an administrator on its machine."""

    connection: psycopg.Connection
    keys: Keyring
    secret_path: Path
    url: str
    origin: str
    notes: KeptNotes


@contextmanager
def _administered(*, recovering: bool = False) -> Iterator[_Administration]:
    """The install of the settings; its database is started for the while where no server runs it."""
    settings = Settings.from_environment()
    with (
        ready(settings, serving=False, recovering=recovering) as install,
        connect(install.urls.owner) as connection,
    ):
        yield _Administration(
            connection,
            Keyring(settings.node_key_path),
            settings.secret_path,
            install.database_url,
            install.origin,
            KeptNotes(settings.data_dir, install.node),
        )


def _forget_output() -> None:
    """What is still in the buffer has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _token(file: Path | None) -> str:
    """The token in a file, or in the environment; empty where there is none."""
    if file is None:
        return os.environ.get("SYNAP_TOKEN", "").strip()
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"The token file {file} cannot be read ({type(error).__name__}).") from None


def _check_workspace(slug: str) -> None:
    try:
        msgspec.convert(slug.removeprefix("_"), WorkspaceSlug)  # the server's own log is _node
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UsageError(f"There is no workspace {slug!r}; see: synap workspaces list.") from None


def _check_user(user: str) -> None:
    try:
        msgspec.convert(user.encode().decode(), ShortText)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UsageError("--user must have 1 to 256 characters.") from None


def _tell(rotation: Rotation, keys: Keyring) -> None:
    """What the operator has to know of a change of keys."""
    print(
        f"The signing key is {rotation.kid_new} now; before it was {rotation.kid_old}.\n"
        f"Keep {keys.path} and the files beside it, {keys.path.name}.z..., safe and apart from the database.\n"
        f"Servers that read their key from another file, as on another machine, answer that they are unavailable until "
        f"{keys.path.name} is copied there."
    )


def _check_port(settings: Settings, name: str, port: int) -> None:
    """Raise UsageError if the port cannot be used. Processes of a server that was just killed may still have it."""
    until = time.monotonic() + PORT_SECONDS
    while (error := port_error(settings.host, port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() > until:
            raise UsageError(unusable(settings.host, port, f"SYNAP_{name}", error))
        time.sleep(PORT_SECONDS / 20)
