"""Signing in and out: by a link, by pasting a key, and after a key has ended."""

import pytest

from tests.console.conftest import Console
from tests.kit.servers import Server, until


def new_key(server: Server, *scopes: str) -> dict[str, str]:
    """A key with these scopes."""
    answer = server.mutate("keys.create", {"scopes": scopes, "workspaces": ["default"], "userId": "ann"})
    return dict(answer.json()["result"]["data"])


def test_a_link_signs_in_and_leaves_the_address_at_once(console: Console) -> None:
    console.page.open(f"{console.server.url}/console#token={console.server.token}")
    console.whole.role("navigation", "Screens").wait()

    assert console.page.url == f"{console.server.url}/console#/default/events"
    assert console.page.evaluate("history.length") == 2  # the blank page before it
    assert [asked for asked in console.page.asked if console.server.token in asked] == []


def test_a_key_is_pasted(console: Console) -> None:
    console.page.open(f"{console.server.url}/console#/default/events")
    console.whole.role("heading", "Sign in").wait()
    console.looks_fine("sign-in")

    console.whole.label("API key").fill("nonsense")
    console.whole.role("button", "Sign in").click()
    assert "sk_" in console.whole.role("alert").content()
    console.whole.label("API key").fill(console.server.token)
    console.whole.role("button", "Sign in").click()

    console.whole.role("table", "Events").wait()
    console.page.reload()
    console.whole.role("table", "Events").wait()


@pytest.mark.parametrize(("kind", "status"), [("&temporary", 401), ("", 200)], ids=["temporary", "own"])
def test_signing_out_forgets_a_key_and_ends_a_temporary_one(console: Console, kind: str, status: int) -> None:
    key = new_key(console.server, "events:read", "keys:manage")
    console.page.open(f"{console.server.url}/console#token={key['token']}{kind}")
    console.whole.role("button", "Your key").click()
    console.whole.role("button", "Sign out").click()

    console.whole.role("heading", "Sign in").wait()
    console.page.reload()
    console.whole.role("heading", "Sign in").wait()
    authorization = f"Bearer {key['token']}"
    until(lambda: console.server.query("keys.current", authorization=authorization).status_code == status)


def test_a_key_that_ended_is_told_and_another_goes_on_where_it_was(console: Console) -> None:
    key = new_key(console.server, "events:read")
    console.open("/default/events?type=note.created", token=key["token"])
    console.whole.role("table", "Events").wait()
    assert console.server.mutate("keys.revoke", {"keyId": key["id"]}).status_code == 200
    authorization = f"Bearer {key['token']}"
    until(lambda: console.server.query("keys.current", authorization=authorization).status_code == 401)
    console.page.reload()

    console.whole.role("heading", "Your key has ended").wait()
    console.whole.label("API key").fill(console.server.token)
    console.whole.role("button", "Sign in").click()

    console.whole.role("table", "Events").wait()
    assert console.page.url.endswith("/console#/default/events?type=note.created")
    console.page.problems()  # the browser writes down that a request was refused


def test_a_key_that_may_only_log_begins_with_composing(console: Console) -> None:
    console.open(token=new_key(console.server, "events:write")["token"])

    console.whole.role("heading", "Compose").wait()
    assert console.whole.role("navigation").role("link").contents() == ["Compose", "API"]


def test_the_theme_is_the_systems_or_chosen_and_stays(console: Console) -> None:
    console.open(colorScheme="dark")
    dark = console.page.evaluate("getComputedStyle(document.body).backgroundColor")
    console.whole.role("button", "Theme: system").click()
    light = console.page.evaluate("getComputedStyle(document.body).backgroundColor")
    console.page.reload()

    console.whole.role("button", "Theme: light").wait()
    assert dark != light
    assert console.page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_question_mark_shows_the_keys(console: Console) -> None:
    console.open()
    console.whole.role("navigation").wait()

    console.page.press("?")
    console.whole.role("dialog", "Keyboard").wait()
    console.looks_fine("keyboard")
    console.page.press("Escape")

    console.whole.role("dialog", "Keyboard").wait("hidden")
