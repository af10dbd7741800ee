"""Webhooks: their health, their deliveries, and what can be done with them, with a receiver that fails and succeeds."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.conftest import Console
from tests.console.test_sign_in import new_key
from tests.delivery.receiver import OK, Received, Receiver, receiving, status
from tests.kit.servers import Server, until

BROKEN = status(503, b"<b>The receiver is down</b>\n\xe2\x80\xaetry later")


def behaviour(request: Received) -> bytes:
    """Down at `/broken`, else fine."""
    return BROKEN if request.path == "/broken" else OK


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The receiver of all webhooks of this file."""
    with receiving(behaviour) as running:
        yield running


def subscribe(server: Server, receiver: Receiver, path: str, kind: str) -> str:
    """A webhook that gets events of this type at this path of the receiver."""
    wanted = {"webhookUrl": receiver.url(path), "eventTypes": [kind]}
    return str(server.mutate("subscriptions.create", wanted).json()["result"]["data"]["subscriptionId"])


def log(server: Server, kind: str) -> dict[str, Any]:
    """An event of this type."""
    return dict(server.mutate("events.log", {"type": kind, "data": {"a": 1}}).json()["result"]["data"])


def deliveries(server: Server, subscription: str, state: str) -> list[dict[str, Any]]:
    """The deliveries in this state."""
    asked = {"subscriptionId": subscription, "status": state}
    return list(server.query("subscriptions.deliveries", asked).json()["result"]["data"]["deliveries"])


def attempted(server: Server, subscription: str) -> bool:
    """Whether a pending delivery was tried."""
    return any(each["attempts"] for each in deliveries(server, subscription, "pending"))


def test_the_list_shows_first_what_is_undelivered(console: Console, receiver: Receiver) -> None:
    server = console.server
    fine = subscribe(server, receiver, "/fine", "list.fine")
    broken = subscribe(server, receiver, "/broken", "list.broken")
    log(server, "list.fine")
    log(server, "list.broken")
    until(lambda: deliveries(server, fine, "delivered"))
    until(lambda: attempted(server, broken))
    console.open("/default/webhooks")
    console.whole.role("table", "Webhooks").wait()

    rows = console.whole.role("table", "Webhooks").role("row").contents()
    assert "/broken" in rows[1]
    assert "Failing" in rows[1]
    assert "Healthy" in next(row for row in rows if "/fine" in row)
    console.looks_fine("webhooks")
    console.looks_fine("webhooks-narrow", width=360)
    for each in (fine, broken):
        server.mutate("subscriptions.delete", {"subscriptionId": each})


def test_a_webhook_that_fails_on_events_of_the_past_shows_them_as_undelivered(
    console: Console, receiver: Receiver
) -> None:
    server = console.server
    wanted = {"eventTypes": ["task.done"], "filter": {"data.number": {"lt": 30}}, "startFrom": "beginning"}
    asked = wanted | {"webhookUrl": receiver.url("/broken")}
    webhook = str(server.mutate("subscriptions.create", asked).json()["result"]["data"]["subscriptionId"])
    until(lambda: attempted(server, webhook))
    console.open("/default/webhooks")
    console.whole.role("row", "Failing").role("link").nth(0).click()
    rows = console.whole.role("table", "Deliveries").role("row")
    until(lambda: rows.count() == 6)  # with the head

    assert all("Pending" in row for row in rows.contents()[1:])
    assert console.whole.text("503").count() >= 1
    server.mutate("subscriptions.delete", {"subscriptionId": webhook})


def test_a_delivery_shows_each_attempt_with_what_was_answered_and_is_sent_again(
    console: Console, receiver: Receiver
) -> None:
    server = console.server
    webhook = subscribe(server, receiver, "/broken", "detail.logged")
    log(server, "detail.logged")
    until(lambda: attempted(server, webhook))
    console.open(f"/default/webhooks/{webhook}")
    console.whole.role("button", "Delivery 1").click()
    delivery = console.whole.role("region", "Delivery 1")
    delivery.wait()

    attempt = delivery.role("list", "Attempts").content()
    assert "503" in attempt
    assert "<b>The receiver is down</b>" in attempt
    assert "U+202E" in attempt
    assert console.page.url.endswith("?delivery=1")
    console.looks_fine("webhook")
    console.looks_fine("webhook-narrow", width=360)
    delivery.role("button", "Send again").click()
    console.whole.role("button", "Delivery 2").wait()
    console.whole.role("combobox", "Status").select("delivered")
    console.whole.role("heading", "No deliveries").wait()
    server.mutate("subscriptions.delete", {"subscriptionId": webhook})


def test_a_webhook_is_tested_paused_replayed_and_resumed(console: Console, receiver: Receiver) -> None:
    server = console.server
    event = log(server, "acts.logged")
    webhook = subscribe(server, receiver, "/acts", "acts.logged")
    console.open(f"/default/webhooks/{webhook}")
    console.whole.role("button", "Send a test").click()
    console.whole.text("The receiver accepted it.").wait()
    console.whole.role("button", "Pause").click()
    console.whole.role("dialog", "Pause this webhook?").role("button", "Pause").click()
    console.whole.role("button", "Resume").wait()

    console.whole.role("button", "Replay").click()
    form = console.whole.role("dialog", "Replay from a place")
    form.label("From place").fill("0")
    form.label("To place").fill("20000")
    form.role("button", "Replay").click()
    form.role("alert").nth(0).wait()
    console.page.problems()  # the browser writes down that a call was refused
    form.label("From place").fill(str(event["seq"]))
    form.label("To place").fill(str(event["seq"]))
    form.role("button", "Replay").click()
    form.text("1 deliveries were added").wait()
    form.role("button", "Close").nth(1).click()
    console.whole.role("button", "Resume").click()

    until(lambda: deliveries(server, webhook, "delivered"))
    assert [each for each in receiver.answered if each.path == "/acts" and event["id"].encode() in each.body]
    console.whole.role("button", "Delete").click()
    console.whole.role("dialog", "Delete this webhook?").role("button", "Delete").click()
    console.whole.role("heading", "Webhooks", exact=True).wait()
    assert console.page.url.endswith("/default/webhooks")


def test_a_secret_is_rotated_and_both_of_its_forms_are_shown_once(console: Console, receiver: Receiver) -> None:
    webhook = subscribe(console.server, receiver, "/secret", "secret.logged")
    console.open(f"/default/webhooks/{webhook}")
    console.whole.role("button", "Rotate secret").click()
    console.whole.role("dialog", "Rotate the secret?").role("button", "Rotate secret").click()
    shown = console.whole.role("dialog", "The new secret")
    shown.wait()

    assert "whsec_" in shown.content()
    assert len(shown.role("definition").contents()) == 2
    console.looks_fine("webhook-secret")
    shown.role("button", "I have copied it").click()
    console.whole.text("Previous secret").wait()
    assert "whsec_" not in console.page.evaluate("document.body.textContent")
    console.server.mutate("subscriptions.delete", {"subscriptionId": webhook})


def test_a_webhook_is_made_after_a_look_at_what_it_would_have_got(console: Console, receiver: Receiver) -> None:
    for _ in range(3):
        log(console.server, "dry.run.logged")
    console.open("/default/webhooks/new")
    console.whole.label("URL").fill("nonsense")
    console.whole.label("Event types").fill("dry.*, other.*")
    console.whole.label("Filter").fill('{"data.a": ')
    console.whole.text("This is no JSON.").wait()
    console.whole.label("Filter").fill('{"data.a": {"gte": 1}}')
    console.whole.role("button", "Try it on the last 1,000 events").click()
    console.whole.text("It would have got 3 of the last 1,000 events.").wait()
    console.looks_fine("webhook-new")
    console.whole.role("button", "Make the webhook").click()
    console.whole.role("alert").nth(1).wait()
    console.page.problems()  # the browser writes down that a call was refused
    console.looks_fine("webhook-refused")

    console.whole.label("URL").fill(receiver.url("/made"))
    console.whole.role("button", "Make the webhook").click()
    console.whole.role("button", "I have copied it").click()

    console.whole.role("heading", receiver.url("/made")).wait()
    log(console.server, "dry.run.logged")
    until(lambda: [each for each in receiver.answered if each.path == "/made"])


def test_webhooks_are_not_there_without_their_scope(console: Console) -> None:
    console.open("/default/webhooks", token=new_key(console.server, "events:read")["token"])

    console.whole.text("There is no such page.").wait()
