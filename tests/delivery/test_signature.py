"""Signatures, checked by the vector, the published libraries, and the receiver of `docs/api/publish.md`."""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.delivery.signature import is_weak, new_secret, standard_headers, standard_secret, x_signature
from tests.kit.packages import compile_typescript
from tests.kit.paths import VECTORS

HERE = Path(__file__).parent
VECTOR = json.loads((VECTORS / "evlog1.json").read_bytes())["webhook"]

KEY = bytes(range(32))
ENCODED = base64.b64encode(KEY).decode()

SECRETS = {
    "of ours": f"whsec_{ENCODED}",
    "without padding": f"whsec_{ENCODED.rstrip('=')}",
    "the document's example": "whsec_xxxxxxxx",
    "no prefix": "a secret of my own",
    "no prefix, but base64": ENCODED,
    "not base64": "whsec_not base64!",
    "URL-safe base64": "whsec_" + base64.urlsafe_b64encode(b"\xff\xfe\xfd" * 9).decode(),
    "a letter too many": "whsec_abcde",
    "the prefix alone": "whsec_",
    "padding alone": "whsec_==",
    "padding within": "whsec_QQ==QQ==",
    "a newline behind": f"whsec_{ENCODED}\n",
    "beyond ASCII": "whsec_schlüssel 🔑",
}
BODIES = {
    "the vector's": VECTOR["body"],
    "empty": "",
    "beyond ASCII": '{"title":"Grüße 🔑 \\u0000"}',
    "large": json.dumps({"data": "x" * 100_000}),
}


def _asked(command: list[str], cwd: Path, questions: list[dict[str, Any]]) -> list[bool]:
    ran = subprocess.run(
        command, cwd=cwd, input=json.dumps(questions), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    answers: list[bool] = json.loads(ran.stdout)
    assert len(answers) == len(questions)
    return answers


def test_both_signatures_are_those_of_the_vector() -> None:
    body = VECTOR["body"].encode()

    headers = standard_headers(
        [VECTOR["secret"]], body, webhook_id=VECTOR["webhook_id"], timestamp=int(VECTOR["webhook_timestamp"])
    )

    assert x_signature(VECTOR["secret"], body) == VECTOR["x_signature"]
    assert headers == {name.replace("_", "-"): VECTOR[name] for name in VECTOR if name.startswith("webhook_")}


def test_the_documents_own_receiver_accepts_x_signature(node: Path, tmp_path: Path) -> None:
    receiver = (VECTORS / "api" / "verify.ts").read_text() + (HERE / "receiver.ts").read_text()
    (tmp_path / "receiver.ts").write_text(receiver)
    (tmp_path / "node_modules").symlink_to(node / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options: dict[str, Any] = {"target": "es2023", "module": "nodenext", "types": ["node"], "strict": True}
    options |= {"esModuleInterop": True, "skipLibCheck": True}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["receiver.ts"]}))
    compile_typescript(tmp_path)
    right = [
        {"body": body, "secret": secret, "header": x_signature(secret, body.encode())}
        for secret in SECRETS.values()
        for body in BODIES.values()
    ]
    wrong = [question | {"body": question["body"] + " "} for question in right]

    answers = _asked(["node", "receiver.js"], tmp_path, right + wrong)

    assert answers == [True] * len(right) + [False] * len(wrong)


def test_the_published_node_library_verifies_our_deliveries(node: Path) -> None:
    right = _deliveries()
    wrong = [question | {"body": question["body"] + " "} for question in right]

    answers = _asked(["node", str(HERE / "standardwebhooks.mjs")], node, right + wrong)

    assert answers == [True] * len(right) + [False] * len(wrong)


def test_the_published_python_library_verifies_our_deliveries() -> None:
    for question in _deliveries():
        webhook = Webhook(question["secret"])

        webhook.verify(question["body"], question["headers"], json_parse=False)
        with pytest.raises(WebhookVerificationError):
            webhook.verify(question["body"] + " ", question["headers"], json_parse=False)


def _deliveries() -> list[dict[str, Any]]:
    """Each body signed with each secret, alone and among others, as a receiver with the derived secret gets it."""
    now = int(time.time())
    return [
        {
            "body": body,
            "secret": standard_secret(secret),
            "headers": standard_headers(secrets, body.encode(), webhook_id="evt_1", timestamp=now),
        }
        for secret in SECRETS.values()
        for body in BODIES.values()
        for secrets in ([secret], [new_secret(), secret, "an old one"])
    ]


DERIVED = {
    "of ours": f"whsec_{ENCODED}",
    "without padding": f"whsec_{ENCODED}",
    "the document's example": "whsec_xxxxxxxx",
    "the prefix alone": "whsec_" + base64.b64encode(b"whsec_").decode(),
    "not base64": "whsec_" + base64.b64encode(b"whsec_not base64!").decode(),
    "no prefix, but base64": "whsec_" + base64.b64encode(ENCODED.encode()).decode(),
}


@pytest.mark.parametrize(("name", "derived"), DERIVED.items(), ids=list(DERIVED))
def test_the_key_is_what_follows_the_prefix_else_the_whole_text(name: str, derived: str) -> None:
    assert standard_secret(SECRETS[name]) == derived


@given(st.text(min_size=1, max_size=80))
def test_a_derived_secret_stays_and_signs_the_same(secret: str) -> None:
    derived = standard_secret(secret)
    signed = [standard_headers([key], b"{}", webhook_id="evt_1", timestamp=1) for key in (secret, derived)]

    assert standard_secret(derived) == derived
    assert signed[0] == signed[1]


def test_a_rotation_gives_one_signature_for_each_secret() -> None:
    old, new = new_secret(), new_secret()

    both = standard_headers([new, old], b"{}", webhook_id="evt_1", timestamp=1)["webhook-signature"]

    alone = [standard_headers([key], b"{}", webhook_id="evt_1", timestamp=1)["webhook-signature"] for key in (new, old)]
    assert both == " ".join(alone)


@pytest.mark.parametrize(("secrets", "webhook_id"), [([], "evt_1"), (["secret"], "evt.1")], ids=["none", "a dot"])
def test_what_would_be_ambiguous_is_not_signed(secrets: list[str], webhook_id: str) -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        standard_headers(secrets, b"{}", webhook_id=webhook_id, timestamp=1)


def test_a_new_secret_is_strong_and_new() -> None:
    one, other = new_secret(), new_secret()

    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32
    assert not is_weak(one)


WEAK = {
    "23 characters": ("x" * 23, True),
    "24 characters": ("x" * 24, False),
    "24 bytes in fewer characters": ("ü" * 12, False),
    "24 characters of base64": ("whsec_" + "x" * 24, True),
    "24 bytes in base64": ("whsec_" + "x" * 32, False),
    "the document's example": ("whsec_xxxxxxxx", True),
    "empty": ("", True),
}


@pytest.mark.parametrize(("secret", "weak"), WEAK.values(), ids=list(WEAK))
def test_a_key_of_fewer_than_24_bytes_is_weak(secret: str, *, weak: bool) -> None:
    assert is_weak(secret) is weak
