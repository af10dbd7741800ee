"""`synap witness`: cosign the checkpoints of other logs."""

from pathlib import Path

from cyclopts import App

from app.access.known_logs import KnownLogs
from app.cli.arguments import Flag, UsageError
from app.cli.ports import port_error, unusable
from app.ledger.cosignature import key_of
from app.ledger.notes import is_key_name
from app.ledger.policy import MalformedPolicyError
from app.ledger.signer import Signer
from app.server.install import migrated, migrated_to_serve
from app.settings import Settings
from app.store.install.install import connect
from app.store.install.witness import OwnWitness, WitnessError, find_witness, make_witness, require_witness
from app.store.postgres.driver import Connection

KEY_FILE = "witness.key"

witness = App(name="witness", help="A witness of other logs: it verifies that they only grow, and cosigns them.")


@witness.command(name="init")
def init(name: str, /, *, yes: Flag = False) -> None:
    """Make the key of a witness and its state in the database. Prints the key that others need to verify it.

    Parameters
    ----------
    name
        The name of the witness, which never changes: a URL without https:// that you control, such as
        witness.example.org/w1.
    yes
        Use the key file that is there. Only for a key that has never cosigned.
    """
    if not is_key_name(name) or not name.isprintable() or len(name) > 200:
        raise UsageError("The name must have 1 to 200 printable characters, without spaces or plus signs.")
    settings = Settings.from_environment()
    path = settings.data_dir / KEY_FILE
    with migrated(settings) as connection:
        signer = _first_key(connection, path, name, yes=yes)
        make_witness(connection, OwnWitness(name, signer.kid))
    print(key_of(name, signer).spelled())


@witness.command(name="serve")
def serve(*, logs: Path, host: str = "127.0.0.1", port: int = 7380, rate: int = 600) -> None:
    """Cosign the checkpoints of other logs until interrupted.

    Parameters
    ----------
    logs
        A policy file: its log lines name the logs that the witness accepts, with their keys. It may change meanwhile.
    host
        The address to listen on. Any address but loopback lets the network in.
    port
        The port to listen on.
    rate
        Calls a minute of one IPv4 address, or of one IPv6 network of 64 bits; more is 429. 0: no limit.
    """
    from app.server.witness import WitnessOptions, run_witness  # noqa: PLC0415 - takes longer than most other commands
    from app.server.workers import Listening  # noqa: PLC0415 - likewise

    settings = Settings.from_environment()
    path = settings.data_dir / KEY_FILE
    signer = _key(path)
    _check_logs(logs)
    if (error := port_error(host, port)) is not None:
        raise UsageError(unusable(host, port, "--port", error))
    with migrated_to_serve(settings) as url:
        with connect(url) as connection:
            name = require_witness(connection, signer.kid).name
        listening, key = Listening(host=host, port=port), key_of(name, signer).spelled()
        run_witness(
            listening,
            WitnessOptions(
                name=name,
                key_file=path.absolute(),
                logs_file=logs.absolute(),
                database_url=url,
                database_connections=settings.database_connections,
                calls_a_minute=rate,
            ),
            lambda: print(f"The witness {name} serves at {listening.url}. Its key is {key}", flush=True),
        )


def _first_key(connection: Connection, path: Path, name: str, *, yes: bool) -> Signer:
    """The key of a witness that begins here; the key of one that is here already."""
    known = find_witness(connection)
    if known is not None:
        return _key(path)
    if path.exists() and not yes:
        raise UsageError(
            f"There is a key in {path}, but no state of its witness in this database. A witness that forgets what it "
            f"cosigned can be led to cosign two histories of a log: move the key away and choose another name than "
            f"{name}, or add --yes if the key has never cosigned."
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Signer.load(path) or Signer.create(path)
    except ValueError as error:
        raise WitnessError(f"The key cannot be read: {error}.") from None
    except OSError as error:
        raise WitnessError(f"The key {path} cannot be read or written: {error.strerror}.") from None


def _key(path: Path) -> Signer:
    try:
        signer = Signer.load(path)
    except (ValueError, OSError) as error:
        raise WitnessError(f"The key of the witness cannot be read: {error}.") from None
    if signer is None:
        raise WitnessError(f"There is no key {path}; restore it, or make a new witness: synap witness init NAME.")
    return signer


def _check_logs(path: Path) -> None:
    try:
        known = KnownLogs(path)
    except OSError as error:
        raise UsageError(f"The list of logs {path} cannot be read: {error.strerror}.") from None
    except MalformedPolicyError as error:
        raise UsageError(f"The list of logs {path} cannot be used. {error}.") from None
    if not known.policy.logs:
        raise UsageError(f"The list of logs {path} has no log line, so the witness would accept nothing.")
