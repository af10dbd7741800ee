"""What `synap verify` does: reads a bundle from wherever it is, and says what the verdict on it is, line by line."""

import http.client
import io
import mmap
import re
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

import msgspec

from app.cli.cores import cores, on_all_cores
from app.cli.first_bytes import BOM, GZIP, HEAD_BYTES, NotReadableError, Reader, refuse_other_kinds, unpacked
from app.cli.terminal import escaped, without_secrets
from app.ledger.audit import AuditVerdict
from app.ledger.checkpoint import MalformedNoteError, Note, parse
from app.ledger.unreadable import unreadable
from app.ledger.verify import Broken, Verdict, verify_bundle, verify_consistency, verify_proof
from app.ledger.verify.bundle import Spread, Told
from app.ledger.verify.consistency import read_consistency
from app.ledger.verify.proof import Kind
from app.ledger.verify.shapes import Consistency
from app.ledger.verify.verdict import Fault
from schemas.audit import AuditPage
from schemas.jsontext import UNREADABLE

SILENCE_SECONDS = 60
"""How long a server may send nothing."""

ALL_CORES_BYTES = 2**24
"""From here on it is worth while to start processes."""

EXPORT = "/events/export"
AUDIT = "/audit"
AUDIT_LIMIT = 1000
"""Entries in a page."""

MAX_KEPT_BYTES = 2**22
"""Of a file with a checkpoint, which may be the answer or the proof that it came in."""

_AROUND_NOTES = ("note", "checkpoint", "result", "data", "json")
"""The members by which JSON leads to a note, from inside out."""

_TOKEN = re.compile(r"[!-~]+")

EXIT_BROKEN = 1
EXIT_PARTLY = 3
"""Verified, but for breaks in the keys, lost events, or bodies that are unconfirmed."""


NOT_PINNED = "not pinned: it is consistent, but nothing shows whose it is; name its node with --node did:key:z…"
"""What standard error says of a verdict that is not broken, if nobody said which node it has to be of."""


class UnreadableError(Exception):
    """There is no bundle to be had; the message is one sentence for the operator."""


def read_bundle(source: str, *, log: str | None = None, token: str | None = None) -> mmap.mmap | bytes:
    """The text of the bundle in a file (`-`: standard input), or of a server's ledger, whose token is `token`.

    A URL is that of an export, or of a ledger such as `http://127.0.0.1:7777/v1`, of which `log` names the log. It is
    held in a file, not in memory. Raises UnreadableError.
    """
    with _reading(source):
        if source == "-":
            return _mapped(_spooled(sys.stdin.buffer))
        if not _is_url(source):
            with Path(source).open("rb") as file:
                return _mapped(file)
        return _mapped(_downloaded(export_url(source, log), token))


def read_audit(source: str, log: str, token: str | None = None) -> bytes:
    """The audit of `log` in a file, or all pages of it from a server's ledger. Raises UnreadableError."""
    with _reading(source):
        if not _is_url(source):
            with Path(source).open("rb") as file:
                return bytes(_mapped(file))
        pages, since = [], None
        while True:
            text = bytes(_mapped(_downloaded(_audit_url(source, log, since), token)))
            pages.append(text)
            entries = msgspec.json.decode(text, type=AuditPage).entries
            if len(entries) < AUDIT_LIMIT:
                return b"\n".join(pages)
            since = entries[-1].timestamp


def _audit_url(source: str, log: str, since: str | None) -> str:
    url = urllib.parse.urlsplit(source)
    path = url.path.removesuffix(EXPORT).removesuffix(AUDIT).rstrip("/") + AUDIT
    query = {"log": log, "limit": str(AUDIT_LIMIT)} | ({} if since is None else {"since": since})
    return url._replace(path=path, query=urllib.parse.urlencode(query), fragment="").geturl()


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """What goes wrong while evidence is read is an UnreadableError, which names where it is."""
    shown = _named(source)
    try:
        yield
    except NotReadableError as error:
        raise UnreadableError(f"{shown} cannot be read: it {error}.") from None
    except urllib.error.HTTPError as error:
        hint = "; give it a token: --token-file or SYNAP_TOKEN" if error.code == 401 else ""
        raise UnreadableError(f"{shown} answers {error.code}{hint}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = (reason.strerror if isinstance(reason, OSError) else None) or reason
        raise UnreadableError(f"{shown} cannot be read: {reason}.") from None


def read_note(path: Path) -> Note:
    """The checkpoint in a file: a note, or the JSON that it came in, as tools leave them. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            content = io.BufferedReader(unpacked(file)).read(MAX_KEPT_BYTES + 1)
        if len(content) > MAX_KEPT_BYTES:
            raise UnreadableError(f"{path} cannot be read: it is too large for a checkpoint.")
        return parse(_tidied(_note_in(content.decode())))
    except NotReadableError as error:
        raise UnreadableError(f"{path} cannot be read: it {error}.") from None
    except (OSError, UnicodeDecodeError, MalformedNoteError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnreadableError(f"{path} cannot be read: {reason}.") from None


def read_consistency_proof(path: Path) -> Consistency:
    """The consistency proof in a file, as a ledger answers it. Raises UnreadableError."""
    with _reading(str(path)), path.open("rb") as file:
        try:
            return read_consistency(_mapped(file))
        except Fault as fault:
            raise UnreadableError(f"{path} cannot be read: {fault}.") from None


def judged(
    text: mmap.mmap | bytes, kind: Kind, progress: Told, *, extends: Note | None, consistency: Consistency | None
) -> Verdict:
    """The verdict on evidence of this kind; a bundle is judged by all cores if it is large. Raises CoreError.

    A proof of consistency needs `extends`, the earlier checkpoint.
    """
    if kind == "proof":
        return verify_proof(text)
    if kind == "consistency" and extends is not None:
        return verify_consistency(text, extends)
    spread: Spread = on_all_cores if len(text) >= ALL_CORES_BYTES and cores() > 1 else map
    return verify_bundle(text, progress, extends=extends, consistency=consistency, spread=spread)


def _note_in(text: str) -> str:
    """The note in the JSON of a checkpoint, a proof, an export or an answer; other text is a note as it is."""
    if text.lstrip()[:1] not in {"{", '"'}:
        return text
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        raise MalformedNoteError("It begins as JSON, but is none") from None
    while isinstance(value, dict) and (name := next((each for each in _AROUND_NOTES if each in value), None)):
        value = value[name]
    if not isinstance(value, str):
        raise MalformedNoteError("It is JSON without a checkpoint")
    return value


def _tidied(note: str) -> str:
    """A note whose line ends, and the white space around it, were changed by an editor, a shell or a mail."""
    lines = [line.rstrip() for line in note.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def refuse_unreadable(source: str, text: mmap.mmap | bytes, verdict: Verdict) -> None:
    """Raise UnreadableError if a verdict says broken only because the text is no evidence."""
    if verdict.broken is not None and (reason := unreadable(text)):
        raise UnreadableError(f"{_named(source)} cannot be read: it {reason}.")


def _named(source: str) -> str:
    if _is_url(source):
        return without_secrets(source)
    return "standard input" if source == "-" else escaped(source)


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def export_url(source: str, log: str | None) -> str:
    """Where the export of a ledger is; `source` may be the export's own URL."""
    url = urllib.parse.urlsplit(source)
    path = url.path if url.path.endswith(EXPORT) else url.path.rstrip("/") + EXPORT
    query = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
    if log is not None:
        query = [(name, value) for name, value in query if name != "log"] + [("log", log)]
    return url._replace(path=path, query=urllib.parse.urlencode(query), fragment="").geturl()


def of_node(verdict: Verdict, node: str | None) -> Verdict:
    """The verdict for who knows the node: an export of another one, however well signed, is not what was asked for."""
    if node in {None, verdict.node} or verdict.broken is not None:
        return verdict
    return msgspec.structs.replace(verdict, broken=Broken(None, f"it is of the node {verdict.node}"))


def report(verdict: Verdict, kind: Kind = "bundle", *, extends: Note | None = None) -> list[str]:
    """The verdict on evidence of this kind, line by line. `extends`: the earlier checkpoint of a consistency proof."""
    if verdict.broken is not None:
        seq, message = verdict.broken.seq, verdict.broken.message
        lines = [f"{kind if seq is None else f'seq {seq}'}: {message}"]
    else:
        lines = [f"{_summary(verdict, kind, extends)}, node {verdict.node}"]
    lines += [
        f"break: the key {each.kid_old} did not sign the rotation to {each.kid_new} at {each.rotated_at}"
        for each in verdict.breaks
    ]
    lines += [
        f"seq {each.seq}: lost events: the log does not extend a checkpoint of {each.size} events, root {each.root}"
        for each in verdict.lost
    ]
    lines += [f"seq {seq}: its body is missing; what says so may stand behind this part" for seq in verdict.unconfirmed]
    lines += [f"seq {seq}: it was erased, but its body is here" for seq in verdict.kept]
    return [escaped(line) for line in lines]


def _summary(verdict: Verdict, kind: Kind, extends: Note | None) -> str:
    of = f"{_events(verdict.count)} of the log {verdict.log}"
    size = verdict.checkpoint.size if verdict.checkpoint is not None else 0
    if kind == "consistency" and extends is not None:
        covered = _events(extends.checkpoint.size)
        return f"the log {verdict.log} of {_events(size)} extends the kept checkpoint of {covered}"
    if kind == "proof":
        return f"{of} is in its tree of {_events(size)}: seq {verdict.first_seq}"
    if verdict.count == 0:
        return f"{of} verify"
    if verdict.count == 1:
        return f"{of} verifies: seq {verdict.first_seq}"
    return f"{of} verify: seq {verdict.first_seq} to {verdict.last_seq}"


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"


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


def audit_exit_code(verdict: AuditVerdict) -> int:
    """0: the audit is verified and signed for. 1: it is broken. 3: nothing that is signed covers it."""
    if verdict.broken is not None:
        return EXIT_BROKEN
    return EXIT_PARTLY if verdict.covered is None else 0


def exit_code(verdict: Verdict) -> int:
    """0: all is verified. 1: broken. 3: verified, but with breaks, losses, or bodies that are unconfirmed or kept."""
    if verdict.broken is not None:
        return EXIT_BROKEN
    return EXIT_PARTLY if verdict.breaks or verdict.lost or verdict.unconfirmed or verdict.kept else 0


def _mapped(file: IO[bytes]) -> mmap.mmap | bytes:
    """The file's content, read where it is looked at; a pipe's is read now."""
    if not file.seekable():
        file = _spooled(file)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if head.startswith((GZIP, BOM)):
        file = _spooled(unpacked(file))
    else:
        refuse_other_kinds(head)
    if file.seek(0, 2) == 0:
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _spooled(stream: Reader) -> IO[bytes]:
    """The content of a stream in a file without a name. The map of it outlives it."""
    file = TemporaryFile()  # noqa: SIM115 - it is closed when nothing refers to it
    shutil.copyfileobj(cast(IO[bytes], stream), file)
    file.flush()
    file.seek(0)
    return file


def _downloaded(url: str, token: str | None) -> IO[bytes]:
    request = urllib.request.Request(url)  # noqa: S310 - http or https: the caller has looked
    if token:
        if not _TOKEN.fullmatch(token):
            raise UnreadableError("The token has characters that no token has.")
        # A redirect is followed without it: it may lead to another host.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:  # noqa: S310
        file = _spooled(answer)
        if answer.length:  # what is still to come: reading in pieces does not tell that it never came
            raise http.client.IncompleteRead(b"", answer.length)
        return file
