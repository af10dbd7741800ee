"""Tells broken evidence from a text that is not evidence at all."""

import codecs
import json
import re
from mmap import mmap

import msgspec
from msgspec import Raw

from schemas.jsontext import UNREADABLE

CHUNK_BYTES = 2**20
MAX_PYTHON_BYTES = 2**26
"""The maximum of a text that Python decodes whole, to tell half of a surrogate pair from a text that is cut off."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_BUNDLE_ONLY = {"export_id", "chain_root_hash", "chain_tip_hash", "bundle_signature"}
_PROOF = {"event", "proof"}
_CONSISTENCY = {"from_size", "proof"}
_RECEIPT = {"chain", "v"}

_members = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


def unreadable(source: bytes | mmap) -> str | None:
    """Why a text is no export, proof or receipt, after the word "it"; None if it is one, even a broken one."""
    if len(source) <= CHUNK_BYTES and not source[:].strip():
        return "is empty"
    if not _is_utf8(source):
        return "is not UTF-8; fetch it again, or save it as UTF-8"
    try:
        members = _members.decode(source)
    except RecursionError:
        return None if _is_named(source) else "is nested too deeply"
    except msgspec.ValidationError:
        return "is JSON, but not an object; exports and proofs are objects"
    except UNREADABLE as error:
        return None if _has_half_pairs(source) and _is_named(source) else _malformed(error)
    return _other(set(members)) if all(map(_is_json, _parts(members))) else "is not JSON"


def _other(names: set[str]) -> str | None:
    if names & _BUNDLE_ONLY or names >= _PROOF or names >= _RECEIPT:
        return None
    if names >= _CONSISTENCY:
        return None if "checkpoint" in names else "is a consistency proof without a checkpoint; ask for it without `to`"
    if "note" in names:
        return "is a checkpoint, not an export; name it with --checkpoint"
    if "error" in names:
        return "is an error that a server returned; fetch it again"
    if "result" in names:
        return "is a whole answer of tRPC or MCP; save only its result.data or result.structuredContent"
    return "is JSON, but neither an export, a proof nor a receipt"


def _is_named(source: bytes | mmap) -> bool:
    """Whether the text has the member names of an export or a proof, although it cannot be decoded."""
    return any(source.find(b'"%b"' % name.encode()) >= 0 for name in (*_BUNDLE_ONLY, "proof", "chain"))


def _has_half_pairs(source: bytes | mmap) -> bool:
    """Whether it is JSON with half of a surrogate pair in a string, which our decoder takes for a text cut off."""
    if len(source) > MAX_PYTHON_BYTES or _SURROGATE.search(source) is None:
        return False
    return _is_json_to_python(source[:].decode())


def _malformed(error: Exception) -> str:
    if "truncated" in str(error):
        return "ends within its JSON; fetch it again"
    reason = str(error).removeprefix("JSON is malformed: ") if isinstance(error, msgspec.DecodeError) else ""
    return f"is not JSON{f': {reason}' if reason else ''}"


def _is_utf8(source: bytes | mmap) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(source), CHUNK_BYTES):
            decoder.decode(source[at : at + CHUNK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _parts(members: dict[str, Raw]) -> list[Raw]:
    """The values in it, with events one by one, because their contents were skipped so far."""
    events = members.get("events", Raw(b"[]"))
    try:
        return [*(value for name, value in members.items() if name != "events"), *_list.decode(events)]
    except UNREADABLE:
        return list(members.values())


def _is_json(part: Raw) -> bool:
    try:
        msgspec.json.decode(part)
    except UNREADABLE:
        return _is_json_to_python(bytes(part).decode())
    return True


def _is_json_to_python(text: str) -> bool:
    """Whether it is JSON in Python's wider sense: half of a surrogate pair, a number of any length, any depth."""
    try:
        json.loads(text, parse_int=float, parse_constant=_refuse)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
