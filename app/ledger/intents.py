"""Intents: what an event asks for under `metadata.synap`, on which terms, and the types of the events that follow it.

Pure. `docs/decisions/0024-intents.md` has the life of an intent.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from schemas.errors import InvalidInput, Issue
from schemas.jsontext import join
from schemas.synap import Intent, IntentStart, Synap

Decoder = msgspec.json.Decoder[Any]

REQUESTED = ".requested"
"""What the type of an intent ends in. The types of what follows it have another word there."""

MAX_OPEN = timedelta(days=90)
DEFAULT_OPEN = timedelta(hours=24)
DEFAULT_TIMEOUT_SECONDS = 3600
DEFAULT_USES = 1

WITHOUT_DATA = ("approved", "rejected", "expired", "withdrawn", "started", "unknown")
"""The last words of the types that follow an intent with `data` that is `{}`."""


class Asked(Struct, frozen=True):
    """What a caller sent under `metadata.synap`, at `path` of the input, and what is wrong with it.

    The faults count only if no event is stored under the id.
    """

    intent: Intent | None
    faults: list[Issue]
    path: str

    def refusal(self, at: datetime) -> InvalidInput | None:
        """Why a log whose next event is of `at` does not take it."""
        faults = self.faults
        expires_at = None if self.intent is None else self.intent.expires_at
        if expires_at is not None and expires_at - at > MAX_OPEN:
            place = join(self.path, "metadata.synap.intent.expiresAt")
            faults = [*faults, Issue(place, "must be at most 90 days after the event is stored")]
        return InvalidInput(faults) if faults else None


class Followed(Struct, frozen=True):
    """What an event that follows an intent says of it."""

    id: UUID
    type: str
    hash: bytes
    subject_id: str | None = None
    correlation_id: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """The members of metadata that name the intent and its content."""
        return {"intentId": str(self.id), "intentHash": f"sha256:{self.hash.hex()}"}


class Terms(Struct, frozen=True):
    """On which terms an intent may run, with the defaults of what it does not say."""

    expires_at: datetime
    timeout_seconds: int
    uses: int
    approvers: list[str] | None

    @classmethod
    def of(cls, intent: Intent, recorded_at: datetime) -> "Terms":
        """The terms of an intent that was stored at `recorded_at`."""
        return cls(
            expires_at=intent.expires_at or recorded_at + DEFAULT_OPEN,
            timeout_seconds=intent.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
            uses=intent.uses or DEFAULT_USES,
            approvers=intent.approvers,
        )


def following_type(intent_type: str, word: str) -> str:
    """The type of an event that follows an intent: `note.creation.approved` for `note.creation.requested`."""
    return f"{intent_type.removesuffix(REQUESTED)}.{word}"


def unfit_follower(intent_type: str, decoders: Mapping[str, Decoder]) -> str | None:
    """A type that must follow the intent, but whose registered data cannot be `{}`. None if there is no such type."""
    for word in WITHOUT_DATA:
        type_ = following_type(intent_type, word)
        try:
            if type_ in decoders:
                decoders[type_].decode(b"{}")
        except msgspec.ValidationError:
            return type_
    return None


def faults_of(
    synap: Synap, event_type: str, path: str, *, is_own_user: bool, decoders: Mapping[str, Decoder]
) -> list[Issue]:
    """Why a caller may not log an event of this type, which is at `path` of its input, with this metadata."""
    place = join(path, "metadata.synap")
    faults = [
        Issue(join(place, name), message)
        for name, message in Synap.__server_only__.items()
        if getattr(synap, name) is not None
    ]
    if synap.intent is None:
        return faults
    if not event_type.endswith(REQUESTED):
        faults.append(Issue(join(place, "intent"), f"is only for an event whose type ends in '{REQUESTED}'"))
    elif (unfit := unfit_follower(event_type, decoders)) is not None:
        faults.append(Issue(join(path, "type"), f"is followed by '{unfit}', whose registered data cannot be {{}}"))
    if not is_own_user:
        faults.append(Issue(join(path, "userId"), "must be the key's own user, because this is an intent; omit it"))
    return faults


def intent_in(metadata: str | None) -> Intent | None:
    """The intent in canonical metadata, whatever other kinds it has."""
    synap = _kept.decode(metadata).synap if metadata else None
    return None if synap is None else synap.intent


def reason_in(metadata: str | None) -> str | None:
    """What the decision in canonical metadata gives as its reason."""
    synap = _kept.decode(metadata).synap if metadata else None
    return None if synap is None or synap.decision is None else synap.decision.reason


def start_in(metadata: str | None) -> IntentStart | None:
    """The start in canonical metadata."""
    synap = _kept.decode(metadata).synap if metadata else None
    return None if synap is None else synap.start


def intent_named_in(event_id: UUID, metadata: str | None) -> UUID | None:
    """The id of the intent that the event is, or that it follows, by its canonical metadata; None if there is none."""
    synap = _kept.decode(metadata).synap if metadata else None
    if synap is None:
        return None
    follows = synap.decision or synap.start or synap.outcome
    if follows is not None:
        return follows.intent_id
    return event_id if synap.intent is not None else None


def parameters_of(data: str) -> bytes:
    """The parameters that canonical `data` names: its member `parameters`, or all of it if there is no such member."""
    return bytes(msgspec.json.decode(data, type=dict[str, Raw]).get("parameters", data.encode()))


def names_other_parameters(data: str, approved: str) -> bool:
    """Whether canonical `data` has a member `parameters`, and it differs from what `approved` data names."""
    reported = msgspec.json.decode(data, type=dict[str, Raw]).get("parameters")
    return reported is not None and bytes(reported) != parameters_of(approved)


class _Kept(Struct, frozen=True):
    synap: Synap | None = None


_kept = msgspec.json.Decoder(_Kept)
