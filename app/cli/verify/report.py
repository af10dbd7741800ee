"""A verdict in words, line by line, and as an exit code."""

from datetime import UTC, datetime

import msgspec

from app.cli.terminal import escaped
from app.ledger.audit import AuditVerdict
from app.ledger.checkpoint import Note
from app.ledger.policy import shown
from app.ledger.verify import Broken, Verdict
from app.ledger.verify.proof import EvidenceKind

EXIT_BROKEN = 1

EXIT_PARTLY = 3
"""All is verified except for breaks in the keys, lost events, or bodies that are unconfirmed, kept or withheld."""

MAX_AUTHORS = 20
"""How many authors have a line of their own."""

NOT_PINNED = "not pinned: it is consistent, but nothing shows whose log it is; name its node with --node did:key:z…"
"""What standard error says of a verdict that is not broken, if no `--node` was given."""

NOT_WITNESSED = "no cosignature was verified; name the log and the witnesses that you trust with --policy FILE"
"""What standard error says of a proof that travels, if no `--policy` was given."""


def of_node(verdict: Verdict, node: str | None) -> Verdict:
    """The verdict if the log must be of `node`. An export of another node is broken, however good its signatures."""
    if node in {None, verdict.node} or verdict.broken is not None:
        return verdict
    return msgspec.structs.replace(verdict, broken=Broken(None, f"it is of the node {verdict.node}"))


def report(verdict: Verdict, kind: EvidenceKind = "bundle", *, extends: Note | None = None) -> list[str]:
    """The verdict on evidence of this kind, line by line. `extends`: the earlier checkpoint of a consistency proof."""
    if verdict.broken is not None:
        seq, message = verdict.broken.seq, verdict.broken.message
        lines = [f"{kind if seq is None else f'seq {seq}'}: {message}"]
    else:
        lines = [f"{_summary(verdict, kind, extends)}, node {verdict.node}", *_authors(verdict)]
    lines += [
        f"break: the key {each.kid_old} did not sign the rotation to {each.kid_new} at {each.rotated_at}"
        for each in verdict.breaks
    ]
    lines += [
        f"seq {each.seq}: lost events: the log does not extend a checkpoint of {each.size} events, root {each.root}"
        for each in verdict.lost
    ]
    lines += [
        f"seq {seq}: its body is missing; its erasure may be recorded after this part" for seq in verdict.unconfirmed
    ]
    lines += [f"seq {seq}: it was erased, but its body is here" for seq in verdict.kept]
    lines += [f"seq {seq}: its body is withheld" for seq in verdict.withheld]
    lines += [
        f"cosigned at {_time(each.at)} by the witness {shown(each.witness.name)} ({each.witness.key.name})"
        for each in verdict.cosigned or ()
    ]
    told = verdict.sentences if verdict.broken is None else []
    return [escaped(lines[0]), *told, *map(escaped, lines[1:])]


def _authors(verdict: Verdict) -> list[str]:
    """Who signed events as their author, and what an erasure leaves of that."""
    counted = sorted(verdict.authors.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"signed by the author {did}: {_events(count)}" for did, count in counted[:MAX_AUTHORS]]
    if others := counted[MAX_AUTHORS:]:
        lines.append(f"signed by {len(others)} other authors: {_events(sum(count for _, count in others))}")
    if verdict.erased == 1:
        lines.append("1 event is erased: if its author had signed it, that signature is gone")
    elif verdict.erased:
        lines.append(f"{verdict.erased} events are erased: if their authors had signed them, those signatures are gone")
    return lines


def report_audit(verdict: AuditVerdict) -> str:
    """The verdict on an audit, in one line."""
    if verdict.broken is not None:
        return f"audit seq {verdict.broken.seq}: {verdict.broken.problem}"
    entries = f"{verdict.count} entr{'y' if verdict.count == 1 else 'ies'} of the audit of {verdict.log}"
    if verdict.covered is None:
        covers = "no event synap.audit.tip of the log covers them"
    else:
        covers = f"the log covers them up to seq {verdict.covered}"
    verifies = "verifies" if verdict.count == 1 else "verify"
    return escaped(f"{entries} {verifies}: seq {verdict.first} to {verdict.last}; {covers}")


def exit_code(verdict: Verdict) -> int:
    """0: all is verified. 1: broken. 3: verified, with breaks, losses, or bodies that are missing or kept."""
    if verdict.broken is not None:
        return EXIT_BROKEN
    exceptions = (verdict.breaks, verdict.lost, verdict.unconfirmed, verdict.kept, verdict.withheld)
    return EXIT_PARTLY if any(exceptions) else 0


def audit_exit_code(verdict: AuditVerdict) -> int:
    """0: the audit is verified, and the log covers it. 1: it is broken. 3: nothing in the log covers it."""
    if verdict.broken is not None:
        return EXIT_BROKEN
    return EXIT_PARTLY if verdict.covered is None else 0


def _summary(verdict: Verdict, kind: EvidenceKind, extends: Note | None) -> str:
    of = f"{_events(verdict.count)} of the log {verdict.log}"
    size = verdict.checkpoint.size if verdict.checkpoint is not None else 0
    if kind == "consistency" and extends is not None:
        covered = _events(extends.checkpoint.size)
        return f"the log {verdict.log} of {_events(size)} extends the kept checkpoint of {covered}"
    if kind in {"proof", "tlog-proof"}:
        witnessed = "" if verdict.cosigned is None else f", which {_witnesses(len(verdict.cosigned))} cosigned"
        under = "in its tree" if kind == "proof" else "under the checkpoint of _node"
        return f"{of} is {under} of {_events(size)}{witnessed}: seq {verdict.first_seq}"
    if kind == "receipt":
        return f"the receipt of {of} verifies"
    if verdict.count == 0:
        return f"{of} verify"
    if verdict.count == 1:
        return f"{of} verifies: seq {verdict.first_seq}"
    return f"{of} verify: seq {verdict.first_seq} to {verdict.last_seq}"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


def _witnesses(count: int) -> str:
    return "1 witness" if count == 1 else f"{count} witnesses"


def _time(at: int) -> str:
    """A time in seconds since 1970, which a witness may have set to anything."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()[:-6] + "Z"
    except (ValueError, OverflowError, OSError):
        return f"{at} s after 1970"
