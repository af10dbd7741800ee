"""How the events of a receipt belong together: who asked, who decided, what started, how it ended, and what caused it.

Each event names the request by its id, and by its hash if it decides on it or starts it. Of an event without a body
only the type says what it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeGuard

import msgspec
from msgspec import Raw, Struct

from app.ledger.chain import instant
from app.ledger.intents import DEFAULT_OPEN, DEFAULT_TIMEOUT_SECONDS, DEFAULT_USES, REQUESTED
from app.ledger.verify.entries import Content, Entry, as_record
from app.ledger.verify.shapes import is_hash
from app.ledger.verify.verdict import (
    CAUSE,
    DECIDED,
    EARLY,
    ENDED,
    EXPIRED,
    FINISHED,
    FOLLOWS,
    NO_START,
    NOT_AFTER,
    NOT_APPROVED,
    NOT_APPROVER,
    NOT_NODE,
    NOT_REQUEST,
    OTHER_REQUEST,
    REPORTER,
    STARTER,
    SYNAP,
    USE,
    Fault,
    check,
)
from schemas.base import Instant
from schemas.synap import MAX_TIMEOUT_SECONDS, MAX_USES

DECISIONS = ("approved", "rejected", "expired", "withdrawn")
ENDS = ("expired", "withdrawn")
STARTED = "started"
OUTCOMES = ("executed", "failed", "unknown")
RISKS = ("low", "medium", "high")


class Asked(Struct, frozen=True):
    """What a request says. A member is None if the request lacks it.

    `more` is the whole data, if it has other members besides the parameters. `ends_at` is when the request expires, as
    a header prints a time.
    """

    parameters: str
    more: str | None
    expires_at: str | None
    ends_at: str
    timeout_seconds: int
    uses: int
    approvers: list[str] | None
    risk: str | None
    reversible: bool | None
    summary: str | None


class Outcome(Struct, frozen=True):
    """How a use ended. `differs` is true if the parameters that were reported are not those of the request."""

    entry: Entry
    word: str
    is_late: bool
    differs: bool


class Use(Struct):
    """A use that started. `number` is None if the start is erased."""

    start: Entry
    number: int | None
    outcomes: list[Outcome] = []


class Story(Struct):
    """The events of a receipt. Only if `is_request` is true does anything follow the first."""

    first: Entry
    is_request: bool
    causes: list[Entry]
    asked: Asked | None = None
    decision: Entry | None = None
    end: Entry | None = None
    uses: list[Use] = []
    loose: list[Entry] = []
    """Outcomes without a body: nothing says which start they belong to."""

    def word_of(self, entry: Entry) -> str:
        """The last word of the type of an event that follows the request."""
        return entry.type[len(self.first.type) - len(REQUESTED) + 1 :]


def story_of(chain: Sequence[Entry], causes: Sequence[Entry]) -> Story:
    """How these events belong together. Raises Fault at the first one that does not belong to those before it."""
    before = chain[0]
    for cause in causes:
        with _at(cause):
            check(before.content is not None and before.content.cause == cause.id, CAUSE)
        before = cause
    first, *others = chain
    content = first.content
    is_request = bool(others) or (content is not None and "intent" in content.synap)
    story = Story(first=first, is_request=is_request, causes=list(causes))
    if is_request:
        with _at(first):
            _begin(story)
    before = first
    for entry in others:
        with _at(entry):
            _follow(story, entry, before)
        before = entry
    return story


@contextmanager
def _at(entry: Entry) -> Iterator[None]:
    """Let a Fault in the block name the seq of the entry."""
    try:
        yield
    except Fault as fault:
        raise Fault(str(fault), entry.seq) from None


def _begin(story: Story) -> None:
    first = story.first
    check(first.type.endswith(REQUESTED), NOT_REQUEST)
    if first.content is not None:
        story.asked = _asked(first.content, first.timestamp)


def _asked(content: Content, timestamp: str) -> Asked:
    intent = content.said("intent")
    uses, approvers = intent.get("uses", DEFAULT_USES), intent.get("approvers")
    risk, reversible = intent.get("risk"), intent.get("reversible")
    expires_at, timeout = _text(intent, "expiresAt"), intent.get("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS)
    check(_is_whole(uses, MAX_USES) and _is_whole(timeout, MAX_TIMEOUT_SECONDS), SYNAP)
    if "approvers" in intent:
        check(isinstance(approvers, list) and all(isinstance(each, str) for each in approvers), SYNAP)
    check("risk" not in intent or risk in RISKS, SYNAP)
    check("reversible" not in intent or isinstance(reversible, bool), SYNAP)
    parameters = _parameters(content.data)
    is_all = parameters is None or content.data == f'{{"parameters":{parameters}}}'
    return Asked(
        parameters=parameters or content.data,
        more=None if is_all else content.data,
        expires_at=expires_at,
        ends_at=_after(timestamp, DEFAULT_OPEN) if expires_at is None else _after(expires_at),
        timeout_seconds=timeout,
        uses=uses,
        approvers=approvers,
        risk=risk,
        reversible=reversible,
        summary=_text(intent, "summary"),
    )


def _follow(story: Story, entry: Entry, before: Entry) -> None:
    """Check an event that follows the request, and note what it is."""
    check(entry.seq > before.seq and entry.timestamp > before.timestamp, NOT_AFTER)
    check(entry.type.startswith(story.first.type.removesuffix(REQUESTED) + "."), FOLLOWS)
    word = story.word_of(entry)
    if word in DECISIONS:
        _decide(story, entry, word)
    elif word == STARTED:
        _start(story, entry)
    else:
        check(word in OUTCOMES, FOLLOWS)
        _finish(story, entry, word)


def _decide(story: Story, entry: Entry, word: str) -> None:
    if entry.content is not None:
        said = _said(story, entry.content, "decision")
        check(said.get("intentHash") == story.first.hash, OTHER_REQUEST)
        check(said.get("decision") == word, SYNAP)
        _text(said, "reason")
        _check_decider(story, entry.content, word)
    if story.asked is not None:
        is_over, says_so = entry.timestamp >= story.asked.ends_at, word == "expired"
        check(is_over == says_so, EARLY if says_so else EXPIRED)
    if story.decision is None:
        story.decision = entry
        return
    check(story.word_of(story.decision) == "approved" and word in ENDS and story.end is None, DECIDED)
    story.end = entry


def _check_decider(story: Story, content: Content, word: str) -> None:
    """Check that the user of a decision is one who may take it."""
    asker, asked = story.first.content, story.asked
    if word == "expired":
        check(content.by_node, NOT_NODE)
    elif word == "withdrawn":
        check(asker is None or asker.user == content.user, STARTER)
    elif asked is not None and asked.approvers is not None:
        check(content.user in asked.approvers, NOT_APPROVER)


def _start(story: Story, entry: Entry) -> None:
    decision = story.decision
    if decision is None or story.word_of(decision) != "approved":
        raise Fault(NOT_APPROVED)
    check(story.end is None, ENDED)
    asked = story.asked
    allowed = MAX_USES if asked is None else asked.uses
    check(asked is None or entry.timestamp < asked.ends_at, EXPIRED)
    check(len(story.uses) < allowed, USE)
    number = None
    if entry.content is not None:
        said = _said(story, entry.content, "start")
        check(said.get("intentHash") == story.first.hash, OTHER_REQUEST)
        check(said.get("decisionId") == decision.id, NOT_APPROVED)
        number = said.get("use")
        if not _is_whole(number, MAX_USES):
            raise Fault(SYNAP)
        check(number <= allowed and all(use.number != number for use in story.uses), USE)
        asker = story.first.content
        check(asker is None or asker.user == entry.content.user, STARTER)
    story.uses.append(Use(entry, number))


def _finish(story: Story, entry: Entry, word: str) -> None:
    if entry.content is None:
        story.loose.append(entry)
        return
    said = _said(story, entry.content, "outcome")
    check(said.get("outcome") == word, SYNAP)
    found = [use for use in story.uses if use.start.id == said.get("startId")]
    check(found, NO_START)
    _check_reporter(story, entry, entry.content, found[0].start)
    outcomes = found[0].outcomes
    is_late = [each.word for each in outcomes] == ["unknown"] and word != "unknown"
    check(not outcomes or is_late, FINISHED)
    reported = _parameters(entry.content.data)
    differs = reported is not None and story.asked is not None and reported != story.asked.parameters
    outcomes.append(Outcome(entry, word, is_late, said.get("differs") is True or differs))


def _check_reporter(story: Story, entry: Entry, content: Content, start: Entry) -> None:
    """Check that who says how a start ended is the user who started it; that it is unknown, the node says in time."""
    if story.word_of(entry) != "unknown":
        starter = start.content or story.first.content
        check(starter is None or starter.user == content.user, REPORTER)
        return
    check(content.by_node, NOT_NODE)
    if story.asked is not None:
        due_at = _after(start.timestamp, timedelta(seconds=story.asked.timeout_seconds))
        check(entry.timestamp >= due_at, EARLY)


def _said(story: Story, content: Content, name: str) -> Mapping[str, Any]:
    """What an event says of the request that it follows."""
    check(list(content.synap) == [name], SYNAP)
    said = as_record(content.synap[name])
    check(said.get("intentId") == story.first.id and content.cause == story.first.id, OTHER_REQUEST)
    check("intentHash" not in said or (isinstance(said["intentHash"], str) and is_hash(said["intentHash"])), SYNAP)
    return said


def _parameters(data: str) -> str | None:
    """The member `parameters` of canonical data."""
    found = msgspec.json.decode(data, type=dict[str, Raw]).get("parameters")
    return None if found is None else bytes(found).decode()


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    check(name not in said or isinstance(value, str), SYNAP)
    return value


def _after(text: str, by: timedelta = timedelta()) -> str:
    """The time `by` after the one that a text names, as a header prints it."""
    try:
        return instant(msgspec.convert(text, Instant) + by)
    except (msgspec.ValidationError, OverflowError):
        raise Fault(SYNAP) from None


def _is_whole(value: object, largest: int) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= largest
