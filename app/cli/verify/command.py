"""`synap verify`: the command."""

import mmap
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.cli.arguments import UsageError
from app.cli.cores import cores, on_all_cores
from app.cli.terminal import Bar
from app.cli.tokens import read_token
from app.cli.verify.evidence import (
    read_audit,
    read_bundle,
    read_consistency_proof,
    read_note,
    read_policy,
    refuse_unreadable,
)
from app.cli.verify.report import NOT_PINNED, NOT_WITNESSED, audit_exit_code, exit_code, of_node, report, report_audit
from app.ledger.audit import NoAuditError, verify_audit
from app.ledger.checkpoint import Note
from app.ledger.policy import Policy
from app.ledger.verify import (
    Verdict,
    kind_of,
    verify_anchored,
    verify_bundle,
    verify_consistency,
    verify_proof,
    verify_receipt,
)
from app.ledger.verify.bundle import Spread, Told
from app.ledger.verify.proof import EvidenceKind
from app.ledger.verify.shapes import Consistency


def verify(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    node: str | None = None,
    checkpoint: Path | None = None,
    consistency: Path | None = None,
    log: str | None = None,
    audit: str | None = None,
    policy: Path | None = None,
    token_file: Path | None = None,
) -> None:
    """Check an export, a proof, a receipt, or the log of a server: every hash, link, signature and change of keys.

    A ledger returns proofs that one event is in its log, or that the log extends an earlier checkpoint. A proof that
    travels (.tlog-proof) leads to a checkpoint that witnesses cosigned. Of a receipt the command also says who asked,
    for what, who decided and what ran, what is proved, and what is not.

    Exit code 0: everything verifies. 1: something is broken. 2: there is no export or proof to read. 3: everything
    verifies, except for what is printed. That is a lost key, lost events, a missing body, an erased body that is still
    here, or an audit that the log does not cover.

    Parameters
    ----------
    source
        A file (gzip too), `-` for standard input, or the URL of a ledger (http://127.0.0.1:7777/v1) or of an export.
    node
        The node whose log it must be (did:key:z…). Anyone can sign a log of their own, so without this option
        standard error says that the log is not pinned.
    checkpoint
        A file with a checkpoint that was kept elsewhere, as a C2SP note or as JSON. The log must begin with the events
        that it covers. A consistency proof needs it.
    consistency
        A file with the consistency proof from that checkpoint to the one in the export. It is needed if the export is
        only a part of the log.
    log
        The workspace, if the source is a ledger.
    audit
        Also check the log's audit: a file with pages of `GET /audit`, one on each line, or the URL of a ledger.
    policy
        A file with the logs and witnesses that you trust (C2SP tlog-policy), for a proof that travels. Its witnesses
        must be a quorum.
    token_file
        A file with a token for the ledger. Default: the environment variable SYNAP_TOKEN.
    """
    text = read_bundle(source, log=log, token=read_token(token_file))
    kind = kind_of(text)
    _check_options(kind, has_checkpoint=checkpoint is not None, has_consistency=consistency is not None, audit=audit)
    trusted = None if policy is None else read_policy(policy, kind)
    kept = None if checkpoint is None else read_note(checkpoint)
    proof = None if consistency is None else read_consistency_proof(consistency)
    with Bar("events") as bar:
        verdict = judged(text, kind, lambda n, of: bar.show(n, n, of), extends=kept, consistency=proof, policy=trusted)
    if kind != "tlog-proof":
        refuse_unreadable(source, text, verdict)
    verdict = of_node(verdict, node)
    for line in report(verdict, kind, extends=kept):
        print(line)
    if node is None and trusted is None and verdict.broken is None:
        print(f"synap: {NOT_PINNED}", file=sys.stderr)
    if kind == "tlog-proof" and trusted is None and verdict.broken is None:
        print(f"synap: {NOT_WITNESSED}", file=sys.stderr)
    code = exit_code(verdict)
    if audit is not None and verdict.broken is None:
        code = _verify_audit(audit, verdict, read_token(token_file)) or code
    sys.exit(code)


def _check_options(kind: EvidenceKind, *, has_checkpoint: bool, has_consistency: bool, audit: str | None) -> None:
    if kind in {"proof", "receipt", "tlog-proof"} and has_checkpoint:
        raise UsageError("--checkpoint is for an export or a consistency proof, not for the proof of single events.")
    if kind == "consistency" and not has_checkpoint:
        raise UsageError("A consistency proof needs the earlier checkpoint: --checkpoint NOTE.")
    if has_consistency and (kind != "bundle" or not has_checkpoint):
        raise UsageError("--consistency is for an export, together with --checkpoint.")
    if kind != "bundle" and audit is not None:
        raise UsageError("--audit is for an export, not for a proof or a receipt.")


def _verify_audit(source: str, verdict: Verdict, token: str) -> int:
    """Check the audit of a log that was verified. Returns the exit code."""
    try:
        found = verify_audit(read_audit(source, verdict.log, token), verdict.log, verdict.tips)
    except NoAuditError as error:
        raise UsageError(f"{source} {error}.") from None
    print(report_audit(found))
    return audit_exit_code(found)


ALL_CORES_BYTES = 2**24
"""The size from which it pays to start processes."""


def judged(
    text: mmap.mmap | bytes,
    kind: EvidenceKind,
    progress: Told,
    *,
    extends: Note | None,
    consistency: Consistency | None,
    policy: Policy | None = None,
) -> Verdict:
    """The verdict on evidence of this kind. All cores check a large bundle. Raises CoreError.

    A consistency proof needs `extends`, the earlier checkpoint.
    """
    if kind == "tlog-proof":
        return verify_anchored(text, policy)
    if kind == "proof":
        return verify_proof(text)
    if kind == "receipt":
        return verify_receipt(bytes(text))
    if kind == "consistency" and extends is not None:
        return verify_consistency(text, extends)
    spread: Spread = on_all_cores if len(text) >= ALL_CORES_BYTES and cores() > 1 else map
    return verify_bundle(text, progress, extends=extends, consistency=consistency, spread=spread)
