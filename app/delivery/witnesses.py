"""Has `_node` witnessed: it anchors the other logs, and asks the witnesses of the policy to cosign its checkpoint.

Once a minute one process has the turn. It submits the same checkpoint to every witness, so that their cosignatures make
a quorum. A witness that fails is asked again after a minute, then two, four, up to an hour; it delays no other.

A witness that cosigned what `_node` does not have, or says that the checkpoint extends nothing, raises an alarm: the
log has two histories, or the witness lies. The alarm ends when that witness cosigns again.
"""

import asyncio
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network

import structlog
from msgspec import Struct

from app.delivery.guard import Guard
from app.delivery.post import post
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import MAX_NOTE_BYTES, hash_of
from app.ledger.policy import Policy, Witness, is_met
from app.ledger.submission import ADD_CHECKPOINT, Answer, Contradicted, Cosigned, Failed, Moved, answered, request
from app.ledger.vkeys import COSIGNATURE
from app.repeating import Repeating
from app.store.audit.log import Act
from app.store.events.event_log import EventLog
from app.store.ledger.anchor import Anchor
from app.store.ledger.heads import Heads
from app.store.ledger.ledger import Ledger
from app.store.ledger.node_witnesses import NodeWitnesses, Standing
from app.telemetry.metrics import WITNESS_ALARMS, WITNESS_ANSWERS, WITNESS_BEHIND
from schemas.errors import Unavailable
from schemas.ledger import SignedCheckpoint
from schemas.principal import EVERY

TURN_SECONDS = 60.0
"""The shortest time from one submission to the next."""

LOOK_SECONDS = 5.0
"""How often a process asks for the turn."""

ANSWER_SECONDS = 10.0
"""How long a witness may take for one answer."""

MAX_WAIT_SECONDS = 3600.0
"""The longest time after which a witness that fails is asked again."""

MAX_DOUBLINGS = 16
"""How often the wait doubles: enough for the longest one. Without a maximum, no float could hold it after weeks."""

MAX_ASKED = 4
"""How often a witness is asked in one turn, because it names another size each time."""

ANYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""The operator wrote the addresses of witnesses, so they may be private."""

REFUSED = (
    "A witness says that the log _node has another history than the one that it cosigned, and SYNAP_WITNESS_FAIL is "
    "closed. Nothing was stored. An administrator finds what is wrong with: synap doctor"
)

logger = structlog.get_logger("synap.witnesses")


class Alarm(Struct, frozen=True):
    """A witness does not vouch for the log. `reason` is one sentence without a full stop."""

    reason: str


class Served(Struct, frozen=True, kw_only=True):
    """What is read and written to have `_node` witnessed."""

    ledger: Ledger
    log: EventLog
    heads: Heads
    anchor: Anchor
    witnesses: NodeWitnesses
    node: str


class Witnessing:
    """The witnessing of one process, for one event loop. Call `open` before use and `close` at the end."""

    def __init__(
        self,
        policy: Policy,
        served: Served,
        *,
        fails_closed: bool = False,
        turn_seconds: float = TURN_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """With `fails_closed` nothing is appended while there is an alarm."""
        self._policy = policy
        self._served = served
        self._fails_closed = fails_closed
        self._turn_seconds = turn_seconds
        self._answer_seconds = answer_seconds
        self._guard = Guard(allow_http=True, allow_networks=ANYWHERE)
        self._asked = {each.key.spelled(): each for each in policy.witnesses if is_asked(each)}
        self._looking = Repeating(self._look, logger, seconds=look_seconds)

    async def open(self) -> None:
        """Begin. An alarm of before holds from the first append on."""
        with suppress(Unavailable):  # without a database nothing is appended
            await self.heed_alarms()
        self._looking.open()

    async def close(self) -> None:
        """Stop. Another process, or a later start, goes on."""
        await self._looking.close()

    async def turn(self) -> bool:
        """Anchor the logs that grew, and submit `_node`, if it is this process's turn. Raises Unavailable."""
        leased_at = await self._served.heads.lease(self._turn_seconds)
        if leased_at is None:
            return False
        with suppress(Unavailable):  # also if an alarm stops all appends: only a cosignature ends it
            await self._served.anchor.anchor(leased_at)
        await self._submit()
        return True

    async def heed_alarms(self) -> None:
        """Show the alarms, and stop or continue to append."""
        alarms = await self._served.witnesses.alarms(list(self._asked))
        WITNESS_ALARMS.set(len(alarms))
        self._served.log.refuse(REFUSED if alarms and self._fails_closed else None)
        cosigned = await self._served.witnesses.newest()
        seq, _ = await self._served.ledger.tip(NODE_LOG)
        WITNESS_BEHIND.set(seq + 1 - (0 if cosigned is None else cosigned.size))

    async def _look(self) -> None:
        await self.turn()
        await self.heed_alarms()

    async def _submit(self) -> None:
        """Submit the newest checkpoint to every witness that is due and has not cosigned it."""
        signed = await self._served.ledger.current(NODE_LOG)
        standing = await self._served.witnesses.standing(list(self._asked))
        due = [key for key, has in standing.items() if has.due and (has.size != signed.size or has.alarm is not None)]
        if signed.size:
            await self._count(signed.size)  # a process that ended may have left this to do, or the quorum is a new one
            await asyncio.gather(*(self._have_cosigned(key, standing[key], signed) for key in due))

    async def _count(self, size: int) -> None:
        """Record that a quorum cosigned a size, if one did."""
        keys = await self._served.witnesses.cosigners(size)
        if is_met(self._policy, [self._asked[key].name for key in keys if key in self._asked]):
            await self._served.witnesses.met(size)

    async def _have_cosigned(self, key: str, standing: Standing, signed: SignedCheckpoint) -> None:
        """Ask one witness, and record what it says."""
        witness, stored = self._asked[key], self._served.witnesses
        name = witness.key.name
        signed, answer = await self._converse(witness, standing, signed)
        if isinstance(answer, Cosigned):
            act = self._act("witness.recovered", witness=name)
            await stored.cosigned(key, signed.size, hash_of(signed.root), answer.line, act)
            await self._count(signed.size)  # whichever witness's line is stored last, its count sees all lines
            WITNESS_ANSWERS.add(name, "cosigned")
            return
        wait = min(self._turn_seconds * 2 ** min(standing.failures, MAX_DOUBLINGS), MAX_WAIT_SECONDS) - LOOK_SECONDS
        alarm = self._act("witness.alarmed", witness=name, problem=answer.reason) if isinstance(answer, Alarm) else None
        is_new = await stored.failed(key, answer.reason, wait, alarm=alarm)
        WITNESS_ANSWERS.add(name, "failed" if alarm is None else "alarm")
        if is_new:
            logger.error("a witness raised an alarm", witness=name, reason=answer.reason, remedy="synap doctor")
        elif standing.failures == 0:
            logger.warning("a witness did not cosign", witness=name, reason=answer.reason)

    async def _converse(
        self, witness: Witness, standing: Standing, signed: SignedCheckpoint
    ) -> tuple[SignedCheckpoint, Cosigned | Failed | Alarm]:
        """Submit until the witness decides. Returns the checkpoint that was last submitted, and the decision."""
        old = standing.size or 0
        for _ in range(MAX_ASKED):
            if old > signed.size:
                signed = await self._served.ledger.current(NODE_LOG)
            if old > signed.size:
                return signed, Alarm(f"It cosigned {old} events of _node, which has {signed.size}")
            answer = await self._ask(witness, old, signed)
            if isinstance(answer, Contradicted):
                return signed, Alarm(f"It answered 422: the checkpoint of {signed.size} events does not extend its own")
            if not isinstance(answer, Moved):
                return signed, answer
            if answer.size == old:
                return signed, Alarm(f"It answered 409 with the size {old} that the submission had named")
            old = answer.size
        return signed, Failed("It named another size each time that it was asked")

    async def _ask(self, witness: Witness, old: int, signed: SignedCheckpoint) -> Answer:
        proof = await self._served.ledger.path(NODE_LOG, old, signed.size)
        result = await post(
            f"{(witness.url or '').rstrip('/')}{ADD_CHECKPOINT}",
            request(old, proof, signed.note),
            {"content-type": "text/plain; charset=utf-8"},
            guard=self._guard,
            timeout_seconds=self._answer_seconds,
            max_body_bytes=MAX_NOTE_BYTES,
        )
        if result.status is None:
            return Failed(result.error or "It did not answer")
        return answered(result.status, result.body, signed.note, witness.key)

    def _act(self, action: str, **detail: str) -> Act:
        return Act.of(action, self._served.node, detail, [EVERY])


def is_asked(witness: Witness) -> bool:
    """Whether a witness can be asked: it has a URL, and a key whose cosignatures we can verify."""
    return witness.url is not None and witness.key.kind == COSIGNATURE
