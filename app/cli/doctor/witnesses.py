"""Checks how the witnesses of `_node` stand."""

from collections.abc import Iterator

from app.cli.doctor.finding import Finding, wrong
from app.delivery.witnesses import is_asked
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import vkey
from app.ledger.policy import Policy
from app.server.policy import read_policy
from app.settings import Settings
from app.store.install import inspection
from app.store.install.install import Identity, InstallError
from app.store.ledger.node_witnesses import GET_COSIGNED, HAS_WITNESSES, LIST_WITNESSES, Standing
from app.store.postgres.driver import Connection


def examine_witnesses(settings: Settings, connection: Connection, identity: Identity) -> Iterator[Finding]:
    """Whether the policy can be used, and whether its witnesses vouch for `_node`."""
    if settings.witness_policy is None or connection.execute(HAS_WITNESSES).fetchone() != (True,):
        return
    try:
        policy = read_policy(settings.witness_policy, identity.origin)
    except InstallError as error:
        yield wrong(str(error))
        return
    yield from _of_policy(policy, identity)
    yield from _of_witnesses(policy, connection)
    yield _of_quorum(connection)


def _of_policy(policy: Policy, identity: Identity) -> Iterator[Finding]:
    own = vkey(f"{identity.origin}/{NODE_LOG}", identity.kid)
    if own not in [log.key.spelled() for log in policy.logs]:
        yield _hint(
            f"The policy lacks the key of {NODE_LOG} that is in force, so its readers will reject checkpoints: {own}."
        )
    for witness in policy.witnesses:
        if not is_asked(witness):
            yield _hint(f"The witness {witness.key.name} is not asked: it has no URL, or its key is not of Ed25519.")


def _of_witnesses(policy: Policy, connection: Connection) -> Iterator[Finding]:
    names = {each.key.spelled(): each.key.name for each in policy.witnesses if is_asked(each)}
    for key, *row in connection.execute(LIST_WITNESSES, {"keys": list(names)}):
        has = Standing(*row)
        if has.alarm is not None:
            yield wrong(
                f"The witness {names[key]} does not vouch for {NODE_LOG}. {has.alarm}. If this database is a restored "
                "backup or a copy, restore the newest one; see docs/operate/witness.md."
            )
        elif has.problem is not None:
            yield _hint(f"The witness {names[key]} failed {has.failures} times since it cosigned. {has.problem}.")


def _of_quorum(connection: Connection) -> Finding:
    size = inspection.log_size(connection, NODE_LOG) or 0
    cosigned = connection.execute(GET_COSIGNED).fetchone()
    if cosigned is None:
        return _hint(f"No quorum of witnesses has cosigned {NODE_LOG} yet.")
    return Finding(
        is_right=True, sentence=f"A quorum of witnesses cosigned {cosigned[0]} of the {size} events of {NODE_LOG}."
    )


def _hint(sentence: str) -> Finding:
    return Finding(is_right=True, sentence=sentence, is_hint=True)
