"""Examples for the API document, composed of one value for each name of a member."""

from typing import Any

from app.contract.schema import Schema

UUID = "019ab2c0-5b7e-7c1a-9d57-3f6b1c2d4e5f"
HASH = "sha256:a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
INSTANT = "2026-01-15T10:30:00.000000Z"
BASE64 = "obLD1OX2BxgpOktcbX6PkKGyw9Tl9gcYKTpLXG1+j5A="
KEY = "ed25519:2d1f0c9b8a79685746352413021f0e0d"

FOLLOWING = "019ab2c0-5b7e-8c1a-9d57-3f6b1c2d4e61"
"""The event that follows an intent, whose id is `UUID`."""
TOMORROW = "2026-01-16T10:30:00.000000Z"
PARAMETERS = {"amount": 40, "to": "john@example.com"}


def _of_intent(word: str, seq: int, user: str, data: dict[str, Any], **synap: dict[str, Any]) -> dict[str, Any]:
    """An event of the life of an intent."""
    cause = {} if word == "requested" else {"causationId": UUID}
    return {
        "id": FOLLOWING if cause else UUID,
        "version": "v1",
        "type": f"payment.refund.{word}",
        "data": data,
        "metadata": {"synap": synap},
        "userId": user,
        "source": "api",
        **cause,
        "timestamp": INSTANT,
        "seq": seq,
        "hash": HASH,
    }


def _decision(word: str, user: str) -> dict[str, Any]:
    return _of_intent(word, 42, user, {}, decision={"intentId": UUID, "intentHash": HASH, "decision": word})


VALUES: dict[str, Any] = {
    "action": "key.created",
    "actor": "control",
    "after": -1,
    "agent": "orchestrator",
    "bundle_signature": BASE64,
    "causationId": UUID,
    "checkpoint": f"synap.example/default\n42\n{BASE64}\n\n\u2014 synap.example {BASE64}\n",
    "chain_root_hash": HASH,
    "chain_tip_hash": HASH,
    "confidence": 0.92,
    "context": {"source": "api", "user_id": "ann"},
    "correlationId": "run-gh-001",
    "count": 42,
    "cursor": "eyJzIjo0Mn0",
    "body_hash": HASH,
    "data": {"title": "Call John"},
    "deliverySeq": 7,
    "depth": 1,
    "description": "All platform events",
    "detail": {"keyId": "k2f9c1d7"},
    "elapsedMs": 35,
    "eventTypes": "code.*",
    "event_id": UUID,
    "eventId": UUID,
    "expiresAt": INSTANT,
    "expiresInSeconds": 3600,
    "export_id": "exp_019ab2c05b7e7c1a9d573f6b1c2d4e5f",
    "filter": {"subjectId": "entity-456"},
    "fromSeq": 0,
    "generated_at": INSTANT,
    "hash": HASH,
    "id": UUID,
    "ids": UUID,
    "inclusion_proof": BASE64,
    "keyId": "k2f9c1d7",
    "kid": KEY,
    "last_seq": 41,
    "limit": 20,
    "log": "default",
    "maxBytes": 1_048_576,
    "node": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "node_did": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    "note": f"synap.example/default\n42\n{BASE64}\n\n\u2014 synap.example {BASE64}\n",
    "number": 1,
    "origin": "synap.example/default",
    "parameters": PARAMETERS,
    "payload": {"title": "Call John"},
    "prev_hash": HASH,
    "proof": BASE64,
    "public_identity": BASE64,
    "requestId": "refund-7f3a",
    "root": BASE64,
    "score": 0.92,
    "secret": "whsec_obLD1OX2BxgpOktcbX6PkKGyw9Tl9gcY",
    "seq": 41,
    "signature": BASE64,
    "size": 42,
    "standardWebhooksSecret": "whsec_obLD1OX2BxgpOktcbX6PkKGyw9Tl9gcY",
    "start": "beginning",
    "startId": FOLLOWING,
    "startCursor": "eyJzIjo0MX0",
    "endCursor": "eyJzIjo0Mn0",
    "nextCursor": "eyJzIjo0Mn0",
    "subjectId": "entity-456",
    "subject_id": "entity-456",
    "subscriptionId": "019ab2c0-5b7e-7c1a-9d57-3f6b1c2d4e60",
    "subscription_id": "019ab2c0-5b7e-7c1a-9d57-3f6b1c2d4e60",
    "tags": "ci",
    "timeoutSeconds": 60,
    "timestamp": INSTANT,
    "to": "2026-01-16T00:00:00Z",
    "toSeq": 41,
    "toSize": 42,
    "to_seq": 41,
    "to_size": 42,
    "token": "sk_k2f9c1d7_4c7d2e9f1a8b3c6d5e0f7a2b9c4d1e8f",
    "total": 1,
    "type": "note.created",
    "use": 1,
    "used": 0,
    "userId": "ann",
    "user_id": "ann",
    "uses": 1,
    "orgId": "default",
    "workspaceId": "default",
    "workspace_id": "default",
    "workspaces": "default",
    "webhookUrl": "https://hooks.example/events",
    "vkey": f"synap.example+2d1f0c9b+{BASE64}",
    # Members whose value depends on their Struct.
    "ApiKey.id": "k2f9c1d7",
    "Attempt.body": "",
    "Attempt.status": 204,
    "AuditEntry.id": UUID,
    "CloudEvent.source": "https://github.example/actions",
    "CloudEvent.subject": "entity-456",
    "ShownCloudEvent.subject": "entity-456",
    "ShownCloudEvent.source": "https://github.example/actions",
    "ShownCloudEvent.time": INSTANT,
    "DescribedProcedure.description": "One event of the workspace, by its UUID or its ledger id `evt_<hash>`.",
    "DescribedProcedure.input": {"type": "object", "properties": {"eventId": {"type": "string"}}},
    "DescribedProcedure.kind": "query",
    "DescribedProcedure.name": "events.get",
    "DescribedProcedure.output": {"type": "object"},
    "DescribedProcedure.summary": "One event of the workspace, by its UUID or its ledger id `evt_<hash>`.",
    "ErrorBody.code": "not_found",
    "ErrorBody.message": "Event not found",
    "EventFilter": {"type": "note.created"},
    "EventOrderBy": {"createdAt": "desc"},
    "FoundPublished.source": "github.action",
    "IssuedKey.id": "k2f9c1d7",
    "LedgerEvent.id": f"evt_{HASH.removeprefix('sha256:')}",
    "LiveEventFilter": {"subjectId": "entity-456"},
    "IntentChain.event": _of_intent(
        "requested", 41, "agent", {"parameters": PARAMETERS}, intent={"risk": "high", "summary": "Refund 40 to John"}
    ),
    "IntentChain.expiresAt": TOMORROW,
    "ListIntents.waiting": True,
    "ListedIntent.expiresAt": TOMORROW,
    "ListedIntent.risk": "high",
    "ListedIntent.summary": "Refund 40 to John",
    "ListedIntent.timeoutSeconds": 3600,
    "ListedIntent.type": "payment.refund.requested",
    "ListedIntent.userId": "agent",
    "MetadataKind.description": "What an AI agent did, how sure it was and why.",
    "MetadataKind.builtIn": True,
    "MetadataKind.name": "ai",
    "MetadataKind.schema": {"type": "object", "properties": {"agent": {"type": "string"}}},
    "PossibleError.code": "NOT_FOUND",
    "PossibleError.reason": "not_found",
    "PublishEvent.source": "github.action",
    "StartedIntent.event": _of_intent(
        "started",
        43,
        "agent",
        {},
        start={"intentId": UUID, "intentHash": HASH, "decisionId": FOLLOWING, "use": 1, "requestId": "refund-7f3a"},
    ),
    "TestedSubscription.body": "",
    "TestedSubscription.delivered": True,
    "Unready.reason": "The database is not reachable",
    "Validation.valid": True,
    # Answers of procedures.
    ".intents.decide": _decision("approved", "ann"),
    ".intents.finish": _of_intent(
        "executed",
        44,
        "agent",
        {"receipt": "R-1"},
        outcome={"intentId": UUID, "startId": FOLLOWING, "outcome": "executed"},
    ),
    ".intents.withdraw": _decision("withdrawn", "agent"),
}

SHOWN: dict[str, tuple[str, ...]] = {
    "Ai": ("confidence",),
    "AiInput": ("confidence",),
    "Attempt": ("status",),
    "BrowseEvents": ("type", "orderBy", "limit"),
    "CloudEvent": ("subject", "data"),
    "CreateKey": ("userId", "expiresInSeconds"),
    "CreateSubscription": ("description",),
    "CreatedSubscription": ("secret",),
    "EraseEvents": ("subjectId",),
    "EventPage": ("nextCursor",),
    "ExportLog": ("fromSeq",),
    "FollowLedger": ("after",),
    "FoundMetadata": ("correlationId",),
    "IntentChain": ("expiresAt",),
    "IssuedKey": ("expiresAt",),
    "ListEvents": ("type", "limit"),
    "ListIntents": ("waiting",),
    "ListedIntent": ("summary", "risk", "expiresAt"),
    "LogEvent": ("subjectId", "metadata"),
    "Metadata": ("ai",),
    "MetadataInput": ("ai",),
    "PublishEvent": ("metadata",),
    "PublishMetadata": ("correlationId", "tags"),
    "ReadLedger": ("type", "limit"),
    "ReplayDeliveries": ("fromSeq", "toSeq"),
    "ShownCloudEvent": ("subject", "data"),
    "StreamEvents": ("type", "start"),
    "Subscription": ("description",),
    "SynapEvent": ("subjectId", "metadata"),
    "TestedSubscription": ("status",),
    "TracedEvent": ("causationId", "agent", "confidence", "depth"),
    "Validation": ("sentBytes", "data", "dataBytes", "userId", "source", "subscriptionCount"),
}
"""The optional members that the example of a Struct has. Every example has the required ones."""


class Examples:
    """Makes examples for schemas that refer to `components`."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, member: str = "", struct: str = "") -> Any:
        """An example of the value of a member. Raises LookupError if the schema is not enough to make one."""
        if (qualified := f"{struct}.{member}") in VALUES:
            return VALUES[qualified]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return VALUES[name] if name in VALUES else self._object(self._components[name], name)
        if "anyOf" in schema:
            return self.of(next(each for each in schema["anyOf"] if each != {"type": "null"}), member, struct)
        if schema.get("type") == "array":
            return [self.of(schema["items"], member, struct)]
        if "properties" in schema:
            return self._object(schema, "")
        return _value(schema, member)

    def title(self, schema: Schema) -> str:
        """The description of an answer, in a line."""
        if schema.get("type") == "array":
            return f"A list. {self.title(schema['items'])}"
        schema = self._components.get(schema.get("$ref", "").rpartition("/")[2], schema)
        return str(schema.get("description", "The answer.")).partition("\n")[0]

    def _object(self, schema: Schema, name: str) -> dict[str, Any]:
        shown = {*schema.get("required", ()), *SHOWN.get(name, ())}
        members = schema.get("properties", {})
        return {member: self.of(members[member], member, name) for member in members if member in shown}


def _value(schema: Schema, member: str) -> Any:
    """A value without members."""
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if "examples" in schema or "default" in schema:
        return schema["examples"][0] if "examples" in schema else schema["default"]
    kind = schema.get("type")
    if member in VALUES and _fits(VALUES[member], kind):
        return VALUES[member]
    by_format = {"uuid": UUID, "date-time": INSTANT}
    if schema.get("format") in by_format:
        return by_format[schema["format"]]
    if kind == "string" and ("pattern" in schema or schema.get("minLength", 0) > len("text")):
        raise LookupError(member)
    plain: dict[Any, Any] = {"string": "text", "boolean": False, "object": {}, "null": None}
    return plain[kind] if kind in plain else schema.get("minimum", 0)


def _fits(value: Any, kind: Any) -> bool:
    types: dict[Any, Any] = {"string": str, "integer": int, "number": (int, float), "object": dict, "boolean": bool}
    return isinstance(value, types.get(kind, object))
