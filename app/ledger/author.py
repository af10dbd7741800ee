r"""Author signatures: `metadata.synap.author` names the agent that wrote an event, and has that agent's signature.

    text = "evlog/author/v1\n<hex>\n"
    hex  = SHA-256 of the JCS of {node, log, id, type} and every member of the body, except `salt` and
           `metadata.synap.author.signature`

So an author signs everything that a caller decides, and the log that stores it. The node's own part is not signed: the
salt, the place and the time. Pure. `docs/reference/evlog1.md` has the format.
"""

from hashlib import sha256

import msgspec
from msgspec import Raw, Struct

from app.ledger.canonical import canonical_object
from app.ledger.notes import from_base64
from app.ledger.signer import public_key, verify
from schemas.errors import Issue, IssueCode
from schemas.jsontext import join
from schemas.principal import Principal
from schemas.synap import EventAuthor

DID_PREFIX = "did:key:"

NO_AUTHOR = "must be the did:key of an Ed25519 key, in its only form"

INVALID_SIGNATURE: IssueCode = "invalid_signature"

NOT_SIGNED = (
    "is not the signature of did over this event as this log would store it; sign its id, type, userId and source, the "
    "node and the log as well"
)

_MARK = b'"author":'
"""What the canonical body of every event with an author contains."""


class MalformedAuthorError(Exception):
    """An event has `metadata.synap.author`, but nobody can have signed it. The message says why."""


class AuthorSignature(Struct, frozen=True):
    """Who signed an event, and what: `signer.verify(kid, text, signature)` tells whether the signature is right.

    `kid` is empty if `did` is not a `did:key`. `signature` is empty if it is not base64. Both are then not right.
    """

    did: str
    kid: str
    text: bytes
    signature: bytes


class _Author(Struct, frozen=True):
    did: str
    signature: str


def author_signature(body: bytes, *, node: str, log: str, id: str, type: str) -> AuthorSignature | None:
    """The signature of an event's author, from its canonical body and parts of its header. None if it has no author.

    Raises MalformedAuthorError.
    """
    if _MARK not in body:
        return None
    members = _members_of(body)
    metadata = _members_of(members.get("metadata", b""))
    synap = _members_of(metadata.get("synap", b""))
    if "author" not in synap:
        return None
    try:
        author = _author.decode(synap["author"])
    except msgspec.ValidationError:
        raise MalformedAuthorError("its author is not an object with a did and a signature") from None
    header = {"node": node, "log": log, "id": id, "type": type}
    if members.keys() & header.keys():
        raise MalformedAuthorError("it has an author, and its body has members of its header")
    unsigned = {name: part for name, part in _members_of(synap["author"]).items() if name != "signature"}
    members |= {name: msgspec.json.encode(value) for name, value in header.items()}
    members["metadata"] = canonical_object(
        {**metadata, "synap": canonical_object({**synap, "author": canonical_object(unsigned)})}
    )
    members.pop("salt", None)
    return AuthorSignature(
        did=author.did,
        kid=_kid(author.did),
        text=f"evlog/author/v1\n{sha256(canonical_object(members)).hexdigest()}\n".encode(),
        signature=from_base64(author.signature) or b"",
    )


def is_author(did: str) -> bool:
    """Whether `did` is the `did:key` of an Ed25519 key, as every verifier accepts it."""
    return public_key(_kid(did)) is not None


def binding_faults(author: EventAuthor | None, owner: Principal, path: str) -> list[Issue]:
    """Why `owner` may not log an event, which is at `path` of the input, with this author, or without one."""
    place = join(path, "metadata.synap.author")
    if author is None:
        required = Issue(place, "is required: an author must sign each event of this key", INVALID_SIGNATURE)
        return [required] if owner.author_required else []
    if owner.authors and author.did not in owner.authors:
        return [Issue(join(place, "did"), "is not an author of this key; keys.current names them", INVALID_SIGNATURE)]
    return []


def author_faults(found: AuthorSignature, path: str) -> list[Issue]:
    """Why an event, which is at `path` of the input, is not signed by the author that it names."""
    place = join(path, "metadata.synap.author")
    if public_key(found.kid) is None:
        return [Issue(join(place, "did"), NO_AUTHOR, INVALID_SIGNATURE)]
    if verify(found.kid, found.text, found.signature):
        return []
    return [Issue(join(place, "signature"), NOT_SIGNED, INVALID_SIGNATURE)]


def _kid(did: str) -> str:
    """The kid in a `did:key`; empty for other texts."""
    return did.removeprefix(DID_PREFIX) if did.startswith(DID_PREFIX) else ""


def _members_of(text: bytes | Raw) -> dict[str, bytes]:
    """The members of a canonical JSON object as canonical text. Empty for any other JSON."""
    if not bytes(text).startswith(b"{"):
        return {}
    return {name: bytes(part) for name, part in _members.decode(text).items()}


_members = msgspec.json.Decoder(dict[str, Raw])
_author = msgspec.json.Decoder(_Author)
