"""Keys: made, rotated and revoked, and only by who may."""

import re

from tests.console.conftest import Console
from tests.console.test_sign_in import new_key
from tests.kit.servers import until

AUTHOR = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"

TOKEN = re.compile(r"sk_[A-Za-z0-9]+_[A-Za-z0-9]+")


def status_of(console: Console, token: str) -> int:
    """The status of a call with this token."""
    return console.server.query("keys.current", authorization=f"Bearer {token}").status_code


def test_a_key_is_made_and_its_token_is_shown_once(console: Console) -> None:
    console.open("/default/keys")
    console.whole.role("table", "Keys").wait()
    console.whole.role("button", "New key").click()
    form = console.whole.role("dialog", "Make a key")
    form.role("checkbox", "events:write log events of its own user").click()
    form.label("User").fill("carla")
    form.label("Expires").select("86400")
    form.label("Authors").fill(AUTHOR)
    form.label("Signatures of authors").select("Not required")
    console.looks_fine("key-new")
    form.role("button", "Make the key").click()

    shown = console.whole.role("dialog", "The new key")
    shown.wait()
    console.looks_fine("key-made")
    [token] = TOKEN.findall(shown.content())
    made = console.server.query("keys.current", authorization=f"Bearer {token}").json()["result"]["data"]
    assert (made["userId"], sorted(made["scopes"])) == ("carla", ["events:read", "events:write"])
    assert (made["authors"], made.get("authorRequired", False)) == ([AUTHOR], False)
    shown.role("button", "I have copied it").click()
    row = console.whole.role("row", made["id"])
    row.wait()
    assert row.text("may sign:").count() == row.text(f"…{AUTHOR[-12:]}").count() == 1
    assert token not in console.page.evaluate("document.body.textContent")
    console.looks_fine("keys")
    console.looks_fine("keys-narrow", width=360)


def test_a_refusal_stands_at_its_field(console: Console) -> None:
    console.open("/default/keys")
    console.whole.role("button", "New key").click()
    form = console.whole.role("dialog", "Make a key")
    form.role("checkbox", "events:read read every event").click()
    form.role("button", "Make the key").click()

    issue = form.role("group", "Scopes").role("alert")
    issue.wait()
    assert "1 to 100 scopes" in issue.content()
    console.page.problems()  # the browser writes down that a call was refused
    console.looks_fine("key-refused")


def test_a_key_is_rotated_and_then_revoked(console: Console) -> None:
    old = new_key(console.server, "events:read")
    console.open("/default/keys")
    console.whole.role("button", f"Rotate {old['id']}").click()
    asked = console.whole.role("dialog", "Rotate this key?")
    asked.label("The old key ends").select("0")
    console.looks_fine("key-rotate")
    asked.role("button", "Rotate").click()
    shown = console.whole.role("dialog", "The new key")
    shown.wait()
    [token] = TOKEN.findall(shown.content())
    shown.role("button", "I have copied it").click()
    until(lambda: status_of(console, old["token"]) == 401)
    assert status_of(console, token) == 200

    console.whole.role("button", f"Revoke {token.split('_')[1]}").click()
    asked = console.whole.role("dialog", "Revoke this key?")
    asked.role("button", "Cancel").click()
    assert status_of(console, token) == 200
    console.whole.role("button", f"Revoke {token.split('_')[1]}").click()
    asked.role("button", "Revoke").click()
    asked.wait("hidden")

    until(lambda: status_of(console, token) == 401)


def test_keys_that_ended_are_shown_if_asked(console: Console) -> None:
    ended = new_key(console.server, "events:read")
    assert console.server.mutate("keys.revoke", {"keyId": ended["id"]}).status_code == 200
    console.open("/default/keys")
    console.whole.role("table", "Keys").wait()
    assert console.whole.role("row", ended["id"]).count() == 0

    console.whole.label("Show keys that ended").click()

    assert "Revoked" in console.whole.role("row", ended["id"]).content()
    assert console.page.url.endswith("/keys?ended=1")


def test_a_tab_continues_with_its_rotated_key(console: Console) -> None:
    own = new_key(console.server, "events:read", "keys:manage")
    console.open("/default/keys", token=own["token"])
    console.whole.role("button", f"Rotate {own['id']}").click()
    console.whole.role("dialog").label("The old key ends").select("0")
    console.whole.role("dialog").role("button", "Rotate").click()
    console.whole.role("button", "I have copied it").click()

    until(lambda: status_of(console, own["token"]) == 401)
    console.page.reload()
    console.whole.role("table", "Keys").wait()


def test_a_key_has_no_button_that_would_fail(console: Console) -> None:
    lesser = new_key(console.server, "keys:manage", "events:read")
    greater = new_key(console.server, "events:erase")
    console.open("/default/keys", token=lesser["token"])
    console.whole.role("row", greater["id"]).wait()

    assert console.whole.role("row", greater["id"]).role("button").count() == 0
    assert console.whole.role("row", lesser["id"]).role("button").count() == 2
    console.open("/default/keys", token=new_key(console.server, "events:read")["token"])
    console.whole.text("There is no such page.").wait()
