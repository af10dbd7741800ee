"""Trust policies (C2SP tlog-policy): which logs a reader accepts, and which witnesses must have cosigned."""

import re
from collections.abc import Callable, Iterable
from typing import NoReturn

from msgspec import Struct

from app.ledger import vkeys
from app.ledger.checkpoint import Note, claimed_keys, is_signed_by
from app.ledger.cosignature import FalseSignatureError, cosigned_at
from app.ledger.vkeys import COSIGNATURE, ED25519, ML_DSA_44, MalformedKeyError, VerifierKey

MAX_POLICY_BYTES = 1_048_576

NONE = "none"
"""The quorum of nobody."""

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")


class MalformedPolicyError(ValueError):
    """A text is not a policy. The message names the line, and says why in one sentence."""


class KnownLog(Struct, frozen=True):
    """A log that the policy accepts. The name of its key is its origin."""

    key: VerifierKey
    url: str | None


class Witness(Struct, frozen=True):
    """A witness that the policy trusts. `name` is its name in the policy only."""

    name: str
    key: VerifierKey
    url: str | None


class Group(Struct, frozen=True):
    """Is met if at least `threshold` of its members are: witnesses, or groups before it."""

    threshold: int
    members: list[str]


class Policy(Struct, frozen=True):
    """A whole policy. `quorum` is the name of a witness or a group, or NONE."""

    logs: list[KnownLog]
    witnesses: list[Witness]
    groups: dict[str, Group]
    quorum: str

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """The keys of the log with this origin."""
        return [log.key for log in self.logs if log.key.name == origin]


class Cosignature(Struct, frozen=True):
    """A witness cosigned a note, at a time in seconds since 1970."""

    witness: Witness
    at: int


class Judgement(Struct, frozen=True):
    """What a policy says of a note."""

    is_log_known: bool
    """Whether the policy has a key for the origin that signed the note."""

    cosigned: list[Cosignature]
    is_quorum_met: bool
    false_keys: list[str]
    """The names of known keys whose signatures are wrong. Such a note is malformed."""

    @property
    def is_accepted(self) -> bool:
        """Whether a known log signed the note, the quorum is met, and no signature of a known key is wrong."""
        return self.is_log_known and self.is_quorum_met and not self.false_keys


def judge(policy: Policy, note: Note) -> Judgement:
    """Verify the signatures that the policy knows, and count the witnesses. All other signatures are ignored."""
    cosigned: list[Cosignature] = []
    false_keys: list[str] = []
    for witness in policy.witnesses:
        try:
            at = cosigned_at(note, witness.key)
        except FalseSignatureError:
            false_keys.append(witness.key.name)
            continue
        if at is not None:
            cosigned.append(Cosignature(witness, at))
    signed = [is_signed_by(note, key.kid) for key in claimed_keys(note, policy.keys_of(note.checkpoint.origin))]
    if not all(signed):
        false_keys.append(note.checkpoint.origin)
    names = (each.witness.name for each in cosigned)
    return Judgement(any(signed), cosigned, is_met(policy, names), false_keys)


def is_met(policy: Policy, names: Iterable[str]) -> bool:
    """Whether these witnesses, by their names in the policy, are a quorum."""
    met = {NONE, *names}
    for name, group in policy.groups.items():  # a group has only members that stand before it
        if sum(member in met for member in group.members) >= group.threshold:
            met.add(name)
    return policy.quorum in met


def parse(text: bytes) -> Policy:
    """The policy in a file. Raises MalformedPolicyError."""
    if len(text) > MAX_POLICY_BYTES:
        raise MalformedPolicyError(f"A policy has at most {MAX_POLICY_BYTES} bytes")
    if text and not text.endswith(b"\n"):
        raise MalformedPolicyError("The last line of the policy has no line feed, so the file may be cut off")
    reader = _Reader()
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        reader.read(number, line)
    return reader.policy()


class _Reader:
    """Reads a policy line by line. Names and URLs are opaque, so bytes that are not UTF-8 survive as surrogates."""

    def __init__(self) -> None:
        self._logs: list[KnownLog] = []
        self._witnesses: dict[str, Witness] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum: str | None = None
        self._number = 0
        self._kinds: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._set_quorum,
        }

    def read(self, number: int, line: bytes) -> None:
        """Take one line, without its line feed."""
        self._number = number
        if _FORBIDDEN.search(line):
            self._refuse("it has a control character, such as a carriage return")
        words = re.findall("[^ \t]+", line.decode(errors="surrogateescape"))
        if not words or words[0].startswith("#"):
            return
        kind = self._kinds.get(words[0])
        if kind is None:
            self._refuse("it begins with none of log, witness, group, quorum and #")
        kind(words[1:])

    def policy(self) -> Policy:
        """The policy after its last line."""
        if self._quorum is None:
            raise MalformedPolicyError("The policy has no quorum line")
        return Policy(self._logs, list(self._witnesses.values()), self._groups, self._quorum)

    def _log(self, words: list[str]) -> None:
        match words:
            case [key] | [key, _]:
                known = KnownLog(self._key(key, ED25519), self._url(words[1:]))
            case _:
                self._refuse("a log line is `log <vkey> [<url>]`")
        if any(log.key.key == known.key.key for log in self._logs):
            self._refuse("another log line has the same key")
        self._logs.append(known)

    def _witness(self, words: list[str]) -> None:
        match words:
            case [name, key] | [name, key, _]:
                witness = Witness(self._new_name(name), self._key(key, COSIGNATURE), self._url(words[2:]))
            case _:
                self._refuse("a witness line is `witness <name> <vkey> [<url>]`")
        if any(known.key.key == witness.key.key for known in self._witnesses.values()):
            self._refuse("another witness line has the same key")
        self._witnesses[name] = witness

    def _group(self, words: list[str]) -> None:
        match words:
            case [name, threshold, _, *_]:
                members = words[2:]
            case _:
                self._refuse("a group line is `group <name> <all, any or a number> <member>...`")
        self._new_name(name)
        for member in members:
            self._check_defined(member)
            if member in self._members:
                self._refuse(f"{shown(member)} is a member of a group already")
            self._members.add(member)
        self._groups[name] = Group(self._threshold(threshold, len(members)), members)

    def _threshold(self, text: str, members: int) -> int:
        if text in {"all", "any"}:
            return members if text == "all" else 1
        if not _COUNT.fullmatch(text) or int(text) > members:
            self._refuse(f"the number of a group is all, any, or from 1 to the number of its members ({members})")
        return int(text)

    def _set_quorum(self, words: list[str]) -> None:
        match words:
            case [name]:
                pass
            case _:
                self._refuse("a quorum line is `quorum <name>`")
        if self._quorum is not None:
            self._refuse("a policy has one quorum line only")
        if name != NONE:
            self._check_defined(name)
        self._quorum = name

    def _new_name(self, name: str) -> str:
        if name == NONE or name in self._witnesses or name in self._groups:
            self._refuse(f"the name {shown(name)} is used already")
        return name

    def _check_defined(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            self._refuse(f"no witness or group before it is called {shown(name)}")

    def _key(self, text: str, kind: int) -> VerifierKey:
        try:
            key = vkeys.parse(text)
        except MalformedKeyError as error:
            self._refuse(str(error))
        if key.kind not in {kind, ML_DSA_44}:
            self._refuse(f"the kind of its key is 0x{key.kind:02x}, but it must be 0x{kind:02x}")
        return key

    @staticmethod
    def _url(words: list[str]) -> str | None:
        return words[0] if words else None

    def _refuse(self, reason: str) -> NoReturn:
        raise MalformedPolicyError(f"Line {self._number} of the policy: {reason}")


def shown(name: str) -> str:
    """A name for a person: at most 256 characters, bytes that are not UTF-8 replaced."""
    return name.encode(errors="surrogateescape").decode(errors="replace")[:256]
