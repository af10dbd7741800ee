"""Reads the policy of `SYNAP_WITNESS_POLICY`."""

from pathlib import Path

from app.ledger.chain import NODE_LOG
from app.ledger.policy import MalformedPolicyError, Policy, parse
from app.store.install.install import InstallError


def read_policy(path: Path, origin: str) -> Policy:
    """The policy in a file, whose logs must all be `_node`. `origin` is that of the install. Raises InstallError."""
    try:
        policy = parse(path.read_bytes())
    except OSError as error:
        raise InstallError(f"The policy {path} in SYNAP_WITNESS_POLICY cannot be read: {error.strerror}.") from None
    except MalformedPolicyError as error:
        raise InstallError(f"The policy {path} in SYNAP_WITNESS_POLICY cannot be used. {error}.") from None
    own = f"{origin}/{NODE_LOG}"
    for log in policy.logs:
        if log.key.name != own:
            raise InstallError(
                f"The policy {path} in SYNAP_WITNESS_POLICY names the log {log.key.name}; its log lines must be keys "
                f"of {own}."
            )
    return policy
