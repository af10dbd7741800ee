"""One event, its trace, and what the browser verifies of it by itself."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.console.conftest import EVENTS, Console
from tests.console.proxy import Proxy, proxying
from tests.console.seed import events
from tests.kit.servers import Server, until

SEEDED = list(events(EVENTS))
THOUGHT = SEEDED[63]
"""An event of an agent in the middle of a tree."""


def open_event(console: Console, event_id: str, *, base: str | None = None, token: str | None = None) -> None:
    """An event, once its data is there."""
    console.open(f"/default/events/{event_id}", token=token, base=base, width=1280, height=900)
    console.whole.role("region", "Facts").wait()


def log(server: Server, **event: object) -> str:
    """Log an event; answers its id."""
    answer = server.mutate("events.log", {"type": "console.tested", "data": {}, **event})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"]["data"]["id"])


def test_an_event_is_shown_whole(console: Console) -> None:
    open_event(console, THOUGHT["id"])
    console.whole.role("button", "verified", exact=True).wait()

    assert console.whole.role("heading", THOUGHT["type"], level=1).count() == 1
    ai = console.whole.role("region", "AI").content()
    for said in (
        "It asks for a call, so it is a task.",
        "Tool call",
        "create the task",
        "ask first",
        "Call John",
        "1.8 s",
    ):
        assert said in ai
    console.looks_fine("event", height=1200)


def test_each_step_of_the_verification_is_shown(console: Console) -> None:
    open_event(console, THOUGHT["id"])
    console.whole.role("button", "verified", exact=True).click()

    dialog = console.whole.role("dialog", "What this browser verified")
    steps = dialog.role("list").nth(0).role("heading").contents()
    assert [step.removesuffix(" right") for step in steps] == [
        "What you see is what was signed",
        "Content",
        "Header",
        "Link to the event before it",
        "Link from the event after it",
        "Signature",
        "Place in the checkpoint",
    ]
    assert all(step.endswith("right") for step in steps)
    console.looks_fine("verified", height=1000)


@pytest.fixture
def tampered(console_server: Server) -> Iterator[Proxy]:
    """The server behind a proxy that changes what it answers about events."""

    def change(path: str, body: bytes) -> bytes:
        if path.startswith("/trpc/events.get"):
            return body.replace(b'"title":"Number 63"', b'"title":"Number 64"')
        return body.replace(b'"userId":"bob"', b'"userId":"bab"') if path.startswith("/trpc/ledger.proof") else body

    with proxying(console_server.url, change=change) as proxy:
        yield proxy


CARDS = {
    "Import": (1, ("External id", "page-1", "Transformed", "yes")),
    "Sync": (2, ("Device id", "phone-1", "Offline", "yes")),
    "Automation": (4, ("Rule name", "Remind me", "schedule", "0 9 * * *")),
    "Custom": (4, ("team", "core")),
}
"""The name of a section of metadata, the last digit of the events that have it, and what their page says of it."""


@pytest.mark.parametrize(("name", "digit", "said"), [(name, *card) for name, card in CARDS.items()], ids=list(CARDS))
def test_each_section_of_the_metadata_is_a_card(console: Console, name: str, digit: int, said: tuple[str, ...]) -> None:
    number = next(number for number in range(10, EVENTS) if number % 10 == digit and number % 3)
    open_event(console, SEEDED[number]["id"])
    card = console.whole.role("region", name, exact=True)
    card.text(said[0], exact=True).wait()

    shown = card.content()
    assert [part for part in said if part not in shown] == []


def test_a_kind_of_a_developer_is_shown_by_its_schema(console: Console) -> None:
    review = {"stars": 4, "verdict": "changes_requested", "wouldRecommend": True, "comment": "a\u202eb"}
    reviewed = log(console.server, metadata={"review": review})
    open_event(console, reviewed)
    card = console.whole.role("region", "review", exact=True)
    card.text("What a reviewer thought.").wait()

    assert card.role("term").contents() == ["Comment", "Stars", "Verdict", "Would recommend"]
    assert card.role("definition").contents() == ["aU+202Eb", "4", "changes_requested", "yes"]
    console.looks_fine("kinds")
    card.role("button", "4", exact=True).click()
    console.whole.role("table", "Events").role("row").nth(1).wait()
    assert "metadata.review.stars" in console.page.url


def test_what_was_changed_on_the_way_is_shown_as_not_verified(console: Console, tampered: Proxy) -> None:
    open_event(console, THOUGHT["id"], base=tampered.url)

    console.whole.role("button", "not verified").wait()
    assert "data" in console.whole.role("alert").content()
    bob = next(event for event in SEEDED[30:] if event["userId"] == "bob")
    open_event(console, bob["id"], base=tampered.url)
    console.whole.role("button", "not verified").wait()
    assert "its body is not the one that was hashed" in console.whole.role("alert").content()
    console.looks_fine("not-verified")


def test_an_erased_event_looks_erased_and_verifies(console: Console) -> None:
    erased = log(console.server, userId="somebody", data={"secret": "gone"})
    assert console.server.mutate("events.erase", {"ids": [erased]}).status_code == 200
    open_event(console, erased)

    console.whole.text("This event was erased.").wait()
    console.whole.role("button", "verified", exact=True).wait()
    assert "gone" not in console.whole.role("region", "Facts").content()
    console.looks_fine("erased")


def test_everything_of_an_event_is_copied(console: Console) -> None:
    open_event(console, THOUGHT["id"])
    console.whole.role("button", "Copy", exact=True).click()
    console.page.evaluate("navigator.clipboard.writeText = async (text) => void (window.copied = text)")

    copied = {}
    for name in ("id", "hash", "link", "JSON", "curl", "TypeScript"):
        console.whole.role("button", f"Copy {name}", exact=True).nth(0).click()
        copied[name] = until(lambda: console.page.evaluate("window.copied"))
    assert copied["id"] == THOUGHT["id"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", copied["hash"])
    assert copied["link"].endswith(f"/console#/default/events/{THOUGHT['id']}")
    assert json.loads(copied["JSON"])["data"] == THOUGHT["data"]
    assert "/trpc/events.get'" in copied["curl"]
    assert console.server.token not in copied["curl"]
    assert THOUGHT["id"] in copied["TypeScript"]


def test_keys_go_to_the_next_and_the_previous_event(console: Console) -> None:
    open_event(console, SEEDED[20]["id"])

    console.page.press("j")
    until(lambda: console.page.url.endswith(SEEDED[19]["id"]))
    console.whole.role("region", "Facts").wait()
    until(lambda: SEEDED[19]["id"] in console.whole.role("region", "Facts").content())
    console.page.press("k")
    until(lambda: console.page.url.endswith(SEEDED[20]["id"]))


def test_a_large_payload_is_offered_as_a_file_and_folds(console: Console) -> None:
    large = log(console.server, data={"text": "x" * 1_000_000, "title": "large"})
    many = log(console.server, data={f"member-{number}": number for number in range(10_000)})
    open_event(console, large)

    file = console.whole.role("region", "Data").role("button", "Download").download()
    assert len(json.loads(file["text"])["text"]) == 1_000_000
    console.whole.role("button", "Show the tree").click()
    console.whole.role("button", "Show all (1.0 MB)").wait()
    console.go(f"/default/events/{many}")
    until(lambda: console.whole.role("region", "Data").role("listitem").count() == 100)
    console.whole.role("button", "Show 500 more").click()
    until(lambda: console.whole.role("region", "Data").role("listitem").count() == 600)
    console.go("/default/events")
    console.whole.role("table", "Events").role("row").nth(1).wait()


def test_causes_and_effects_are_walked_with_the_arrow_keys(console: Console) -> None:
    console.open(f"/default/trace/{THOUGHT['id']}", width=1280, height=800)
    tree = console.whole.role("tree", "Causes and effects")
    tree.wait()

    assert tree.role("treeitem").count() > 2
    tree.role("treeitem", selected=True).focus()
    for key in ("ArrowUp", "ArrowUp", "Home"):
        console.page.press(key)
    until(lambda: SEEDED[60]["id"] in console.page.url)
    console.page.press("ArrowLeft")
    until(lambda: tree.role("treeitem").count() == 1)
    console.page.press("ArrowRight")
    until(lambda: tree.role("treeitem").count() > 2)
    console.looks_fine("trace")
    console.page.press("Enter")
    console.whole.role("region", "Facts").wait()
    assert console.page.url.endswith(f"/events/{SEEDED[60]['id']}")


@pytest.mark.parametrize("by", ["agent", "source"])
def test_a_trace_is_shown_as_lanes(console: Console, by: str) -> None:
    console.open(f"/default/trace/{THOUGHT['id']}?view=lanes", width=1280, height=800)
    lanes = console.whole.role("list", "Lanes")
    lanes.wait()

    console.whole.role("button", f"By {by}").click()
    until(lambda: "intelligence" in lanes.contents()[0] or by == "agent")
    console.whole.role("application", "Events over time").focus()
    console.page.press("ArrowLeft")
    until(lambda: "node=" in console.page.url)
    console.looks_fine(f"lanes-{by}")
