"""`synap node`: the signing key of the install, its secret, and logs that lost events."""

from cyclopts import App

from app.cli.administration import administered
from app.cli.arguments import Flag, UsageError
from app.ledger.keyring import Keyring
from app.store.install.rollback import accept_losses
from app.store.install.rotation import adopt_key, rotate_key
from app.store.install.secret import adopt_secret
from schemas.ledger import Rotation

node = App(name="node", help="The install's signing key and secret, and logs that lost events.")


@node.command(name="rotate-key")
def rotate() -> None:
    """Replace the signing key with a new one. Servers may run."""
    with administered() as install:
        _tell(rotate_key(install.connection, install.keys), install.keys)


@node.command(name="adopt-key")
def adopt(*, yes: Flag = False) -> None:
    """Continue with a new signing key if the one in force is lost.

    The new key is the one in the key file. If there is no file, the command makes a key.

    Parameters
    ----------
    yes
        Confirm.
    """
    if not yes:
        raise UsageError(
            "Use this only if the signing key is lost: nobody can then prove that the new key is this install's, and "
            "every verifier reports the break forever; add --yes to confirm."
        )
    with administered(recovering=True) as install:
        _tell(adopt_key(install.connection, install.keys), install.keys)


@node.command(name="adopt-secret")
def adopt_lost_secret(*, yes: Flag = False) -> None:
    """Continue with a new install secret if the one of the database is lost.

    The new secret is the one in the secret file. If there is no file, the command makes a secret.

    Parameters
    ----------
    yes
        Confirm.
    """
    if not yes:
        raise UsageError(
            "Use this only if the install secret is lost: cursors that callers hold become invalid, a retry with an "
            "earlier Idempotency-Key is stored as a second event, and every webhook needs a new secret; add --yes to "
            "confirm."
        )
    with administered(recovering=True) as install:
        adopt_secret(install.connection, install.secret_path)
    print(
        f"The install secret is now the one in {install.secret_path}. Copy it to every machine of this database, "
        "restart their servers, and call subscriptions.rotateSecret for each webhook."
    )


@node.command(name="accept-rollback")
def accept() -> None:
    """Let logs that lost events continue, after a deliberate restore or a failover that lost commits.

    Each such log permanently records which checkpoint it lost, and every verifier reports that.
    """
    with administered() as install:
        losses = accept_losses(install.url, install.connection, install.notes, install.keys, install.origin)
    for loss in losses:
        if loss.is_gone:
            print(
                f"The whole log {loss.log}, which had {loss.checkpoint.size} events, is gone: create the workspace "
                f"again with synap workspaces create {loss.log}, and repeat this command."
            )
        else:
            print(f"The log {loss.log} continues without its checkpoint of {loss.checkpoint.size} events.")
    if not losses:
        print("Every log extends its kept checkpoint: there is nothing to accept.")


def _tell(rotation: Rotation, keys: Keyring) -> None:
    """Print what the operator must know after a change of keys."""
    print(
        f"The signing key is now {rotation.kid_new}; it was {rotation.kid_old}.\n"
        f"Keep {keys.path} and the files beside it, {keys.path.name}.z..., safe and apart from the database.\n"
        f"Servers that read their key from another file, such as on another machine, reject appends as unavailable "
        f"until you copy {keys.path.name} there."
    )
