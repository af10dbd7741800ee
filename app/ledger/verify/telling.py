r"""What a receipt proves, in sentences for a person. `clients/verify/verify.mjs` writes the same sentences.

Texts of strangers stand in quotation marks, as JSON. Characters that are invisible, or that change the direction of a
text, are written as `\u` and four digits. The list of these is part of the format, so that it does not depend on the
version of Unicode that a platform knows.
"""

import re
from collections.abc import Iterator

import msgspec

from app.ledger.verify.entries import Entry
from app.ledger.verify.story import Outcome, Story, Use

MAX_SHOWN = 2000
"""How many characters of one text or value a sentence shows."""

_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u2800\u3000\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)

HIDDEN = (
    "Note: this receipt has characters that are invisible or change the direction of a text. They are written here as "
    "\\u and four digits."
)


def told(story: Story, *, node: str, log: str, size: int) -> list[str]:
    """The sentences. `size` is how many events the checkpoint covers."""
    teller = _Teller(story)
    sentences = [*teller.chain(), *teller.causes(), *teller.proved(node, log, size), *teller.not_proved(node)]
    return [*sentences, HIDDEN] if teller.has_hidden else sentences


class _Teller:
    """Tells one story. It notes whether it had to spell out a character."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.has_hidden = False

    def chain(self) -> Iterator[str]:
        """What happened."""
        if not self._story.is_request:
            yield from self._event(self._story.first)
            return
        yield from self._asked()
        yield from self._decided()
        for use in self._story.uses:
            yield from self._used(use)
        for entry in self._story.loose:
            yield f"Ended: {self._bare(entry)} Nothing says which start it belongs to."
        yield from self._ended()

    def causes(self) -> Iterator[str]:
        """What came before."""
        before = self._story.first
        for cause in self._story.causes:
            of = f"Cause: seq {before.seq} followed from"
            if cause.content is None:
                yield f"{of} {self._bare(cause)}"
            else:
                yield f"{of} seq {cause.seq}, which {self._who(cause)} logged as {self._q(cause.type)} on {_at(cause)}."
                yield from self._author(cause)
            before = cause
        if before.content is not None and before.content.cause is not None:
            yield f"Cause: seq {before.seq} names a cause that is not in this receipt."

    def proved(self, node: str, log: str, size: int) -> Iterator[str]:
        """What the signatures, hashes and the tree prove."""
        story, count = self._story, len(list(self._entries()))
        events = "this event" if count == 1 else f"each of these {count} events"
        yield f"Proved: the node {node} signed {events}, and nothing in the signed parts was changed since."
        covered = "1 event" if size == 1 else f"{size} events"
        name = self._q(log)
        yield f"Proved: the log {name} has {events} in its place, among the {covered} that its checkpoint covers."
        decision = story.decision
        if decision is not None and decision.content is not None:
            yield "Proved: the decision names the request by its hash, so it is about exactly this request."
        if story.uses and all(use.number is not None for use in story.uses):
            yield "Proved: each start names that decision and that hash."

    def not_proved(self, node: str) -> Iterator[str]:
        """What a reader must know from elsewhere."""
        yield f"Not proved: whose node it is. Compare {node} with the node that you know from elsewhere."
        yield "Not proved: that the reports are true. The log has what users and their programs reported."
        yield "Not proved: who a user really is. The node tells users apart by their keys."
        if any(entry.content is not None and entry.content.author is not None for entry in self._entries()):
            yield "Not proved: who holds the key of an author. Compare it with the one that you know from elsewhere."
        yield "Not proved: the times. They are those of the node's clock."
        yield "Not proved: that this is everything. Events may be left out of a receipt, or may have come later."
        if any(entry.content is None for entry in self._entries()):
            yield "Not proved: what the events without content said. Their hashes are proved."

    def _entries(self) -> Iterator[Entry]:
        story = self._story
        yield story.first
        yield from (entry for entry in (story.decision, story.end) if entry is not None)
        for use in story.uses:
            yield use.start
            yield from (outcome.entry for outcome in use.outcomes)
        yield from story.loose
        yield from story.causes

    def _event(self, entry: Entry) -> Iterator[str]:
        if entry.content is None:
            yield f"Logged: {self._bare(entry)}"
            return
        yield f"Logged: {self._who(entry)} logged {self._q(entry.type)} on {_at(entry)} (seq {entry.seq})."
        yield from self._author(entry)
        yield f"Its content: {self._json(entry.content.data)}"

    def _asked(self) -> Iterator[str]:
        first, asked = self._story.first, self._story.asked
        if asked is None:
            yield f"Asked: {self._bare(first)} So the file does not say who asked, or for what."
            return
        yield f"Asked: {self._who(first)} asked for {self._q(first.type)} on {_at(first)} (seq {first.seq})."
        yield from self._author(first)
        yield f"Exactly this was asked for: {self._json(asked.parameters)}"
        if asked.more is not None:
            yield f"The whole content of the request: {self._json(asked.more)}"
        if asked.summary is not None:
            yield f"The request describes itself as: {self._q(asked.summary)}"
        if asked.risk is not None:
            yield f"The request calls its risk {asked.risk}."
        if asked.reversible is not None:
            yield f"The request says that it {'can' if asked.reversible else 'cannot'} be reversed."
        if asked.approvers is not None:
            yield f"Only these users could decide: {', '.join(map(self._q, asked.approvers))}."
        if asked.expires_at is not None:
            yield f"It could be approved and started before {self._q(asked.expires_at)}."
        if asked.uses > 1:
            yield f"It could be started {asked.uses} times."

    def _decided(self) -> Iterator[str]:
        story = self._story
        entry, asker = story.decision, story.first.content
        if entry is None:
            yield "Not decided: the receipt has no decision on this request."
            return
        word = story.word_of(entry)
        label = word.capitalize()
        if entry.content is None:
            yield f"{label}: {self._bare(entry)} So the file does not say by whom."
            return
        yield f"{label}: {self._decision(entry, word)}"
        if word in {"approved", "rejected"} and asker is not None and asker.user == entry.content.user:
            yield f"The user who {word} it is the user who asked."
        yield from self._reason(entry)

    def _decision(self, entry: Entry, word: str) -> str:
        place = f"on {_at(entry)} (seq {entry.seq})"
        if word == "expired":
            return f"the time to decide was over, as the node wrote {place}."
        if word == "withdrawn":
            return f"{self._who(entry)} withdrew this request {place}."
        return f"{self._who(entry)} {word} exactly this request {place}."

    def _reason(self, entry: Entry) -> Iterator[str]:
        reason = None if entry.content is None else entry.content.said("decision").get("reason")
        if reason is not None:
            yield f"The reason given: {self._q(reason)}"

    def _used(self, use: Use) -> Iterator[str]:
        start, asked = use.start, self._story.asked
        if use.number is None:
            yield f"Started: {self._bare(start)} So the file does not say by whom."
            name = f"the use of seq {start.seq}"
        else:
            name = f"use {use.number}"
            of = "" if asked is None else f" of {asked.uses}"
            yield f"Started: {self._who(start)} started {name}{of} on {_at(start)} (seq {start.seq})."
        for outcome in use.outcomes:
            yield from self._finished(outcome, name)
        if not use.outcomes and not self._story.loose:
            yield f"Not finished: the receipt does not say how {name} ended."

    def _finished(self, outcome: Outcome, name: str) -> Iterator[str]:
        entry, word = outcome.entry, outcome.word
        place = f"on {_at(entry)} (seq {entry.seq})"
        if word == "unknown":
            yield f"Unknown: nobody had reported in time how {name} ended, as the node wrote {place}."
            return
        late = ", late," if outcome.is_late else ""
        said = "was executed" if word == "executed" else "failed"
        yield f"{word.capitalize()}: {self._who(entry)} reported{late} {place} that {name} {said}."
        if entry.content is not None and entry.content.data != "{}":
            yield f"The report: {self._json(entry.content.data)}"
        if outcome.differs:
            yield "Attention: the parameters in this report are not those that were asked for."

    def _ended(self) -> Iterator[str]:
        story = self._story
        if story.decision is not None and story.word_of(story.decision) == "approved" and not story.uses:
            yield "Not started: the receipt has no start."
        entry = story.end
        if entry is None:
            return
        word = story.word_of(entry)
        if entry.content is None:
            yield f"{word.capitalize()}: {self._bare(entry)}"
        elif word == "expired":
            yield f"Expired: the approval ended on {_at(entry)}, as the node wrote (seq {entry.seq})."
        else:
            yield f"Withdrawn: {self._who(entry)} ended the approval on {_at(entry)} (seq {entry.seq})."
        yield from self._reason(entry)

    def _author(self, entry: Entry) -> Iterator[str]:
        author = None if entry.content is None else entry.content.author
        if author is not None:
            yield f"Its author {author} signed exactly this."

    def _bare(self, entry: Entry) -> str:
        """A sentence about an event without content."""
        gone = "withheld: the key that fetched this receipt may not read it" if entry.is_withheld else "erased"
        return f"seq {entry.seq}, logged as {self._q(entry.type)} on {_at(entry)}. Its content is {gone}."

    def _who(self, entry: Entry) -> str:
        content = entry.content
        if content is None or content.by_node:
            return "the node"
        return f"the user {self._q(content.user)}"

    def _q(self, text: str) -> str:
        """A text of a stranger in quotation marks."""
        shown, rest = _cut(text)
        return self._spelled(msgspec.json.encode(shown).decode()) + rest

    def _json(self, text: str) -> str:
        """Canonical JSON of a stranger."""
        shown, rest = _cut(text)
        return self._spelled(shown) + rest

    def _spelled(self, text: str) -> str:
        spelled = _HIDDEN.sub(_spell, text)
        self.has_hidden = self.has_hidden or spelled != text
        return spelled


def _at(entry: Entry) -> str:
    return f"{entry.timestamp[:10]} at {entry.timestamp[11:19]} UTC"


def _cut(text: str) -> tuple[str, str]:
    """The beginning of a text, and a remark if that is not all of it."""
    if len(text) <= MAX_SHOWN:
        return text, ""
    return text[:MAX_SHOWN], f" … ({MAX_SHOWN} of {len(text)} characters; the file has all)"


def _spell(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
