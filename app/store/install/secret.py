"""The install secret: 32 random bytes in a file, and a fingerprint of them in the database.

All machines of one database share the secret. It authenticates cursors and seals the secrets of webhooks. By the
fingerprint a start rejects another secret. The secret cannot be computed from it.
"""

import base64
import hmac
import os
from pathlib import Path

import psycopg

from app.ledger.signer import write_secret
from app.sealing.webhook_secrets import Sealer, SealError
from app.store.audit.log import enter
from app.store.install import inspection
from app.store.postgres.nodes import WHOLE, Part
from schemas.principal import EVERY

SECRET_BYTES = 32
LABEL = b"synap/install-secret/fingerprint/v1\n"

REMEDY = (
    "copy the file from another machine of this database or from a backup; if the secret is lost, run: "
    "synap node adopt-secret --yes"
)
"""What the operator can do if the install secret is not the database's."""

GET_FINGERPRINT = "SELECT secret_fingerprint FROM install"
"""The fingerprint of the install secret that the database was used with."""

SET_FIRST_FINGERPRINT = "UPDATE install SET secret_fingerprint = %s WHERE secret_fingerprint IS NULL"
"""Stores the fingerprint of the install secret, if none is stored."""

REPLACE_FINGERPRINT = "UPDATE install SET secret_fingerprint = %s"
"""Stores the fingerprint of another install secret."""


class SecretError(Exception):
    """The install secret is missing, unreadable or another; the message is one sentence for the operator."""


def read_secret(path: Path) -> bytes:
    """The secret in a file. Raises SecretError if there is none."""
    try:
        secret = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except FileNotFoundError:
        raise SecretError(f"The install secret is not in {path}; {REMEDY}.") from None
    except OSError as error:
        raise SecretError(f"The install secret {path} cannot be read: {error.strerror}.") from None
    except ValueError:  # no ASCII, or no base64
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise SecretError(f"{path} does not hold an install secret ({SECRET_BYTES} bytes in base64); {REMEDY}.")
    return secret


def first_secret(path: Path) -> bytes:
    """Read the secret from the file, which an operator may have put there, or create one. Raises SecretError."""
    if not path.is_file():
        try:
            write_secret(path, base64.b64encode(os.urandom(SECRET_BYTES)).decode())
        except FileExistsError:
            pass  # it is no file, or another start has just created it: reading shows which
        except OSError as error:
            raise SecretError(f"The install secret {path} cannot be written: {error.strerror}.") from None
    return read_secret(path)


def fingerprint(secret: bytes) -> bytes:
    """The fingerprint of a secret: 32 bytes, from which the secret cannot be computed."""
    return hmac.digest(secret, LABEL, "sha256")


def require_secret(connection: psycopg.Connection, path: Path) -> None:
    """Raise SecretError unless the file holds the secret of this database, which has an install.

    A database of an earlier version has no fingerprint. Then any secret that opens at least one webhook secret is
    accepted, or any secret if there is no webhook.
    """
    secret = read_secret(path)
    [(known,)] = connection.execute(GET_FINGERPRINT)
    if known is None and not _opens(connection, secret):
        raise SecretError(f"The install secret in {path} opens no webhook secret of this database; {REMEDY}.")
    if known not in {None, fingerprint(secret)}:
        raise SecretError(f"The install secret in {path} is not that of this database; {REMEDY}.")


def keep_fingerprint(connection: psycopg.Connection, path: Path) -> None:
    """Store the fingerprint of the secret, if the database has none."""
    connection.execute(SET_FIRST_FINGERPRINT, (fingerprint(read_secret(path)),))


def adopt_secret(connection: psycopg.Connection, path: Path) -> None:
    """Replace the lost secret of the database by that in the file, or by a new one. Raises SecretError."""
    secret = first_secret(path)
    with connection.transaction():
        connection.execute(REPLACE_FINGERPRINT, (fingerprint(secret),))
        enter(connection, "secret.adopted", {}, [EVERY])


def unopened(connection: psycopg.Connection, secret: bytes, part: Part = WHOLE) -> list[str]:
    """The webhooks whose secrets do not open with the install secret: workspace and id."""
    sealer, shut = Sealer(secret), []
    for workspace, id_, sealed in inspection.sealed_secrets(connection, part):
        try:
            sealer.open(sealed, workspace, id_)
        except SealError:
            shut.append(f"{workspace}/{id_}")
    return shut


def _opens(connection: psycopg.Connection, secret: bytes) -> bool:
    """Whether the secret opens a webhook's secret, or there is none."""
    sealed = inspection.sealed_secrets(connection)
    return not sealed or len(unopened(connection, secret)) < len(sealed)
