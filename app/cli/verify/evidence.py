"""Reads the evidence that `synap verify` checks, from a file, a pipe or a server."""

import http.client
import io
import mmap
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

from app.cli.arguments import UsageError
from app.cli.first_bytes import BOM, GZIP, HEAD_BYTES, ByteReader, NotReadableError, refuse_other_kinds, unpacked
from app.cli.terminal import escaped, without_secrets
from app.cli.tokens import bearer
from app.ledger import policy
from app.ledger.checkpoint import Note, parse
from app.ledger.notes import MalformedNoteError
from app.ledger.policy import MalformedPolicyError, Policy
from app.ledger.unreadable import unreadable
from app.ledger.verify import Verdict
from app.ledger.verify.consistency import read_consistency
from app.ledger.verify.proof import EvidenceKind
from app.ledger.verify.shapes import Consistency
from app.ledger.verify.verdict import Fault
from schemas.audit import AuditPage
from schemas.jsontext import UNREADABLE

SILENCE_SECONDS = 60
"""How long a server may send nothing."""

EXPORT = "/events/export"

AUDIT = "/audit"

AUDIT_LIMIT = 1000
"""Entries in a page."""

MAX_KEPT_BYTES = 2**22
"""The size of a file with a checkpoint. It may be a whole answer or proof that contains the checkpoint."""

_AROUND_NOTES = ("note", "checkpoint", "result", "data", "json")
"""The members of JSON around a note, from the inside out."""


class UnreadableError(Exception):
    """The evidence cannot be read. The message is one sentence for the operator."""


def read_bundle(source: str, *, log: str | None = None, token: str | None = None) -> mmap.mmap | bytes:
    """The text of a bundle: from a file, from standard input (`-`), or from a server's ledger with the token `token`.

    A URL is that of an export, or of a ledger such as `http://127.0.0.1:7777/v1` with the log `log`. The text is held
    in a file, not in memory. Raises UnreadableError.
    """
    with _reading(source):
        if source == "-":
            return _mapped(_spooled(sys.stdin.buffer))
        if not _is_url(source):
            with Path(source).open("rb") as file:
                return _mapped(file)
        return _mapped(_downloaded(export_url(source, log), token))


def read_audit(source: str, log: str, token: str | None = None) -> bytes:
    """The audit of `log`: from a file, or all its pages from a server's ledger. Raises UnreadableError."""
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


def read_note(path: Path) -> Note:
    """The checkpoint in a file, as a note or inside JSON. Raises UnreadableError."""
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
    """The consistency proof in a file, as a ledger returns it. Raises UnreadableError."""
    with _reading(str(path)), path.open("rb") as file:
        try:
            return read_consistency(_mapped(file))
        except Fault as fault:
            raise UnreadableError(f"{path} cannot be read: {fault}.") from None


def read_policy(path: Path, kind: EvidenceKind) -> Policy:
    """The policy in a file, for evidence of this kind. Raises UsageError, UnreadableError."""
    if kind != "tlog-proof":
        raise UsageError("--policy is for a proof that travels (.tlog-proof).")
    try:
        return policy.parse(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from None
    except MalformedPolicyError as error:
        raise UnreadableError(f"{path} cannot be used. {error}.") from None


def refuse_unreadable(source: str, text: mmap.mmap | bytes, verdict: Verdict) -> None:
    """Raise UnreadableError if a verdict is broken only because the text is no evidence."""
    if verdict.broken is not None and (reason := unreadable(text)):
        raise UnreadableError(f"{_named(source)} cannot be read: it {reason}.")


def export_url(source: str, log: str | None) -> str:
    """The URL of a ledger's export. `source` may be that URL already."""
    url = urllib.parse.urlsplit(source)
    path = url.path if url.path.endswith(EXPORT) else url.path.rstrip("/") + EXPORT
    query = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
    if log is not None:
        query = [(name, value) for name, value in query if name != "log"] + [("log", log)]
    return url._replace(path=path, query=urllib.parse.urlencode(query), fragment="").geturl()


def _audit_url(source: str, log: str, since: str | None) -> str:
    url = urllib.parse.urlsplit(source)
    path = url.path.removesuffix(EXPORT).removesuffix(AUDIT).rstrip("/") + AUDIT
    query = {"log": log, "limit": str(AUDIT_LIMIT)} | ({} if since is None else {"since": since})
    return url._replace(path=path, query=urllib.parse.urlencode(query), fragment="").geturl()


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Turn failures while evidence is read into UnreadableError, which names the source."""
    shown = _named(source)
    try:
        yield
    except NotReadableError as error:
        raise UnreadableError(f"{shown} cannot be read: it {error}.") from None
    except urllib.error.HTTPError as error:
        hint = "; give it a token: --token-file or SYNAP_TOKEN" if error.code == 401 else ""
        raise UnreadableError(f"{shown} answered {error.code}{hint}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = (reason.strerror if isinstance(reason, OSError) else None) or reason
        raise UnreadableError(f"{shown} cannot be read: {reason}.") from None


def _note_in(text: str) -> str:
    """The note inside the JSON of a checkpoint, a proof, an export or an answer. Other text is returned as it is."""
    if text.lstrip()[:1] not in {"{", '"'}:
        return text
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        raise MalformedNoteError("It begins like JSON, but is not valid JSON") from None
    while isinstance(value, dict) and (name := next((each for each in _AROUND_NOTES if each in value), None)):
        value = value[name]
    if not isinstance(value, str):
        raise MalformedNoteError("It is JSON without a checkpoint")
    return value


def _tidied(note: str) -> str:
    """A note with its original line ends and white space, which an editor, a shell or a mail may have changed."""
    lines = [line.rstrip() for line in note.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def _named(source: str) -> str:
    if _is_url(source):
        return without_secrets(source)
    return "standard input" if source == "-" else escaped(source)


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _mapped(file: IO[bytes]) -> mmap.mmap | bytes:
    """The content of a file, mapped into memory. A pipe is first read into a temporary file."""
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


def _spooled(stream: ByteReader) -> IO[bytes]:
    """The content of a stream in a file without a name. A map of the file outlives the file object."""
    file = TemporaryFile()  # noqa: SIM115 - it is closed when nothing refers to it
    shutil.copyfileobj(cast(IO[bytes], stream), file)
    file.flush()
    file.seek(0)
    return file


def _downloaded(url: str, token: str | None) -> IO[bytes]:
    request = urllib.request.Request(url)  # noqa: S310 - http or https: the caller has checked
    if token:
        # A redirect may lead to another host, so it is followed without the token.
        request.add_unredirected_header("Authorization", bearer(token))
    with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:  # noqa: S310
        file = _spooled(answer)
        if answer.length:  # the rest never came; reading in pieces does not report that
            raise http.client.IncompleteRead(b"", answer.length)
        return file
