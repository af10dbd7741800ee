"""The envelope of inputs and outputs: none, or superjson's `{json, meta}` (`docs/api/wire.md`, section 9)."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal, Protocol, get_args, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from schemas.base import Input
from schemas.errors import InvalidInput, Issue
from schemas.issues import is_struct, unwrap
from schemas.jsontext import MAX_ECHO, MAX_ISSUES, UNREADABLE, read_json, refuse_limits
from schemas.written import Written

SUPERJSON_EXPECTED = (
    "must be superjson, an object with `json` and, if needed, `meta`: set the client's transformer to superjson, like "
    "the server's SYNAP_TRANSFORMER"
)
PLAIN_EXPECTED = (
    "must be plain JSON, not superjson's `{json, meta}`: remove the client's transformer, because the server's "
    "SYNAP_TRANSFORMER is none"
)

_MISMATCH: Final = "wrong_transformer"
"""The code of both messages."""


class Transformer(Protocol):
    """Plain JSON or superjson."""

    needs_input: bool
    """Whether a WebSocket message without an input is malformed (`docs/api/wire.md`, section 9.5)."""

    def input(self, content: bytes, wanted: type[Input]) -> bytes | None:
        """The JSON in the envelope, for a procedure with the input `wanted`; None if absent. Raises InvalidInput."""

    def error(self, content: bytes) -> bytes:
        """An error object (JSON) in its envelope."""

    def parts(self, value: Any, kind: Any, before: bytes = b"", after: bytes = b"", path: str = "") -> list[bytes]:
        """`value`, of the procedure's output type `kind`, in its envelope, as parts to be joined.

        `before` and `after` belong to the same JSON text, in which `path` is the place of the value.
        """


class Plain:
    """No transformer: values are JSON."""

    needs_input = False

    def input(self, content: bytes, wanted: type[Input]) -> bytes | None:
        """The content itself. Raises InvalidInput for superjson's envelope, unless the input has such members."""
        if b'"json"' in content and not _has_json(wanted):
            try:
                envelope = _strict_envelope.decode(content)
            except UNREADABLE:
                return content
            if envelope.json is not UNSET:
                raise InvalidInput([Issue("", PLAIN_EXPECTED, _MISMATCH)])
        return content

    def error(self, content: bytes) -> bytes:
        """The content itself."""
        return _for_both(content) if _is_mismatch(content) else content

    def parts(self, value: Any, kind: Any, before: bytes = b"", after: bytes = b"", path: str = "") -> list[bytes]:  # noqa: ARG002 - the types matter to superjson only
        """Plain JSON."""
        return [before, *_json(value), after]


class SuperJson:
    """superjson. Instants in outputs are Dates. Dates in inputs become text, and undefined is absent."""

    needs_input = True

    def input(self, content: bytes, wanted: type[Input]) -> bytes | None:  # noqa: ARG002 - an envelope is for any
        """The `json` of the envelope, without what `meta` marks as undefined. Raises InvalidInput for other kinds."""
        try:
            envelope = _envelope.decode(content)
        except UNREADABLE:
            read_json(content)
            envelope = _Envelope()
        meta = _meta_of(envelope.meta)
        if envelope.json is UNSET:
            if meta.values == ["undefined"]:
                return None
            raise InvalidInput([Issue("", SUPERJSON_EXPECTED, _MISMATCH)])
        if meta.values is None and meta.referential_equalities is None:
            return bytes(envelope.json)
        value = read_json(bytes(envelope.json))
        refuse_limits(value, "")
        value = _restore(value, meta)
        return None if value is UNSET else msgspec.json.encode(value)

    def error(self, content: bytes) -> bytes:
        """The error in an envelope."""
        return _for_both(content) if _is_mismatch(content) else b'{"json":%b}' % content

    def parts(self, value: Any, kind: Any, before: bytes = b"", after: bytes = b"", path: str = "") -> list[bytes]:
        """`{"json": …}` around the whole text, with `meta` if there are Dates."""
        return [b'{"json":%b' % before, *_json(value), b"%b%b}" % (after, _meta(value, kind, path))]


TRANSFORMERS: dict[Literal["none", "superjson"], Transformer] = {"none": Plain(), "superjson": SuperJson()}


class _Meta(Struct, frozen=True, rename="camel"):
    values: Any = None
    referential_equalities: Any = None


class _Envelope(Struct, frozen=True):
    json: Raw | UnsetType = UNSET
    meta: Raw = Raw(b"null")


class _StrictEnvelope(_Envelope, frozen=True, forbid_unknown_fields=True):
    """An envelope without other members."""


_envelope = msgspec.json.Decoder(_Envelope)
_strict_envelope = msgspec.json.Decoder(_StrictEnvelope)
_meta_decoder = msgspec.json.Decoder(_Meta | None)
_INDEX = re.compile(r"[0-9]{1,9}")
_STEP = re.compile(r"(?:\A|(?<=\.))(?:[^.\\]|\\.)*", re.DOTALL)


def _is_mismatch(error: bytes) -> bool:
    """Whether an error object reports the wrong transformer. Quotes in its texts are escaped."""
    return b'"reason":"%b"' % _MISMATCH.encode() in error


def _for_both(error: bytes) -> bytes:
    """An error object that both kinds of client can read, because this client has the other transformer."""
    return b'{"json":%b,%b' % (error, error[1:])


@cache
def _has_json(wanted: type[Input]) -> bool:
    return any(field.encode_name == "json" for field in msgspec.structs.fields(wanted))


def _meta_of(sent: Raw) -> _Meta:
    """What the envelope's `meta` says. Its version says nothing about the value. Raises InvalidInput."""
    try:
        return _meta_decoder.decode(sent) or _Meta()
    except UNREADABLE:
        message = "superjson's `meta` must be an object, whose `values` hold names, objects and arrays only"
        raise InvalidInput([Issue("", message)]) from None


def _restore(value: Any, meta: _Meta) -> Any:
    """`value` with the kinds that `meta` names applied; UNSET if the root is undefined."""
    _refuse_dedupe(value, meta.referential_equalities)
    if meta.values == ["undefined"]:
        return UNSET
    trees = {"": meta.values} if isinstance(meta.values, list) else meta.values
    if not isinstance(trees, dict | None):
        raise InvalidInput([Issue("", "superjson's `meta.values` must be an object or an array")])
    issues = []
    for name, tree in (trees or {}).items():
        path = _steps(name)
        if tree == ["undefined"]:
            # A member of the input itself stays null, which means absent, so that an unknown one is still rejected by
            # name.
            parent = _at(value, path[:-1])
            if len(path) > 1 and isinstance(parent, dict):
                parent.pop(path[-1], None)
        elif tree != ["Date"]:
            issues.append(_refused(".".join(path), tree))
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return value


def _refuse_dedupe(value: Any, equalities: Any) -> None:
    """Reject values that superjson's `dedupe` left out. Without it (the default) repeated values are all present."""
    if equalities is None:
        return
    if not isinstance(equalities, dict):
        raise InvalidInput([Issue("", "must not contain itself")])
    for name, places in equalities.items():
        original = _at(value, _steps(name))
        for place in places if isinstance(places, list) else ():
            if original is not None and _at(value, _steps(str(place))) is None:
                raise InvalidInput([Issue(str(place)[:MAX_ECHO], "was removed by superjson's `dedupe`; turn that off")])


def _refused(path: str, tree: object) -> Issue:
    kind = tree[0] if isinstance(tree, list) and tree else "unknown"
    return Issue(path[:MAX_ECHO], f"is of superjson's kind {str(kind)[:32]!r}, which JSON cannot hold; send it as text")


def _steps(name: str) -> list[str]:
    r"""The keys of a dotted path, in which `\.` is a dot and `\\` a backslash of a key."""
    return [re.sub(r"\\(.)", r"\1", step, flags=re.DOTALL) for step in _STEP.findall(name)]


def _at(value: Any, path: list[str]) -> Any:
    """The value at `path`, or None."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _json(value: Any) -> Sequence[bytes]:
    return value.parts if isinstance(value, Written) else (msgspec.json.encode(value),)


def _meta(value: Any, kind: Any, path: str) -> bytes:
    if isinstance(value, Written):
        value = value.read(kind)
    dates = {place: ["Date"] for place in _dates(value, kind, path)}
    return b',"meta":%b' % msgspec.json.encode({"values": dates, "v": 1}) if dates else b""


def _dates(value: Any, kind: Any, path: str) -> Iterator[str]:
    """The paths of the instants in an output."""
    if isinstance(value, list):
        item_kind = get_args(unwrap(kind)[0])[0]
        for index, item in enumerate(value):
            yield from _dates(item, item_kind, f"{path}.{index}" if path else str(index))
    elif isinstance(value, Struct):
        for name, wire_name, member_kind, is_instant in _members(type(value)):
            member = getattr(value, name)
            if member is not None:
                place = f"{path}.{wire_name}" if path else wire_name
                if is_instant:
                    yield place
                else:
                    yield from _dates(member, member_kind, place)


@cache
def _members(kind: type[Struct]) -> list[tuple[str, str, Any, bool]]:
    """The members of an output that may contain instants: name, wire name, type, and whether it is an instant."""
    members = []
    for field in msgspec.structs.fields(kind):
        wanted, meta = unwrap(field.type)
        is_instant = ((meta and meta.extra) or {}).get("shape") == "instant"
        if is_instant or is_struct(wanted) or get_origin(wanted) is list:
            members.append((field.name, field.encode_name, field.type, is_instant))
    return members
