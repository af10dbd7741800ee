"""The audit and the numbers of the server."""

import json

from tests.console.conftest import Console
from tests.console.test_sign_in import new_key
from tests.kit import web
from tests.kit.servers import until


def test_the_audit_shows_who_did_what(console: Console) -> None:
    key = new_key(console.server, "events:read")
    console.open("/default/audit?action=key.created")  # other tests leave hundreds of other entries
    entry = console.whole.role("row", f"{key['id']}")
    entry.wait()

    assert "key.created" in entry.content()
    assert "control yours" in entry.content()
    console.looks_fine("audit")
    console.looks_fine("audit-narrow", width=360)


def test_the_audit_is_filtered_by_action_and_by_who(console: Console) -> None:
    key = new_key(console.server, "events:read", "keys:manage", "audit:read")
    new = console.server.mutate("keys.create", {"scopes": ["events:read"]}, authorization=f"Bearer {key['token']}")
    console.open("/default/audit")
    console.whole.label("Action").fill("key.created")
    console.whole.label("Action").press("Enter")
    console.whole.label("Who").fill(key["id"])
    id_of_new = new.json()["result"]["data"]["id"]

    until(lambda: console.whole.role("table", "Audit").role("row").count() == 2)  # with the head
    assert id_of_new in console.whole.role("table", "Audit").role("row").nth(1).content()
    assert "action=key.created" in console.page.url
    console.page.reload()
    until(lambda: console.whole.role("table", "Audit").role("row").count() == 2)  # with the head


def test_what_is_typed_stays_while_the_page_changes(console: Console) -> None:
    console.open("/default/audit")
    console.whole.label("Action").fill("key.created")

    console.page.evaluate("location.hash = '#/default/audit?within=all'")
    until(lambda: console.whole.label("Since").value() == "all")
    console.whole.label("Action").press("Enter")

    until(lambda: "action=key.created" in console.page.url)
    assert "within=all" in console.page.url


def test_the_audit_shows_the_newest_of_many_entries_and_leads_to_the_older(console: Console) -> None:
    url = f"{console.server.url}/trpc/{','.join(['audit.list'] * 100)}"
    asked = {"batch": "1", "input": json.dumps({str(place): {"limit": 1} for place in range(100)})}
    for _ in range(10):
        assert web.get(url, params=asked, headers=console.server.headers, timeout=60).status_code == 200
    newest = new_key(console.server, "events:read")
    console.open("/default/audit?within=all")
    rows = console.whole.role("table", "Audit").role("row")
    rows.nth(1).wait()

    assert newest["id"] in rows.nth(1).content()
    assert rows.count() == 1001
    console.whole.role("button", "Older entries").click()
    until(
        lambda: console.page.evaluate("[...document.querySelectorAll('tbody td:last-child')].at(-1)?.innerText") == "0"
    )
    assert "until=" in console.page.url
    console.whole.role("button", "The newest entries").click()
    until(lambda: newest["id"] in console.whole.role("table", "Audit").content())


def test_the_audit_says_that_nothing_was_found_and_that_an_action_is_none(console: Console) -> None:
    console.open("/default/audit?action=workspace.deleted")
    console.whole.role("heading", "No entries").wait()

    console.go("/default/audit?action=No+such")
    console.whole.role("alert").nth(0).wait()

    assert "such as key.created" in console.whole.role("alert").nth(0).content()
    console.page.problems()  # the browser writes down that a call was refused


def test_the_numbers_of_the_server_follow_it(console: Console) -> None:
    console.open("/default/operate")
    appended = console.whole.role("region", "Log").role("definition").nth(2)
    appended.wait()
    before = int(appended.content().split()[0].replace(",", ""))

    console.server.mutate("events.log", {"type": "note.created", "data": {}})

    until(lambda: int(appended.content().split()[0].replace(",", "")) > before, seconds=60)
    until(lambda: "/ s" in console.whole.role("region", "Log").role("definition").nth(0).content(), seconds=60)
    console.looks_fine("operate")
    console.looks_fine("operate-narrow", width=360)


def test_the_numbers_are_not_there_without_their_scope(console: Console) -> None:
    console.open(token=new_key(console.server, "events:read")["token"])
    console.whole.role("navigation", "Screens").role("link", "Events").wait()

    assert console.whole.role("navigation", "Screens").role("link").contents() == ["Events", "API"]


def test_a_server_that_cannot_be_reached_is_told_and_found_again(console: Console) -> None:
    console.open("/default/operate")
    console.whole.role("region", "Log").wait()

    console.page.offline(is_offline=True)
    console.whole.text("No answer from the server").wait()
    console.page.offline(is_offline=False)

    console.whole.text("No answer from the server").wait("hidden")
    console.whole.role("region", "Log").wait()
    console.page.problems()  # the browser writes down that it was offline
