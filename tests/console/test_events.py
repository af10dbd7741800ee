"""The events: the table, its filters, the histogram, the live tail, exports and saved views."""

import csv
import io
import json
from urllib.parse import unquote

import pytest

from tests.browser.spot import Spot
from tests.console.conftest import EVENTS, Console
from tests.kit.servers import until

FEW = '?filter={"data.number":{"lt":20}}'
"""A view of twenty events, of which axe-core looks at every part."""

SCROLL_ON = """(() => {
  const box = document.querySelector('.events-table .table-box')
  box.scrollBy(0, 100000)
  return [box.textContent.includes('beginning of the log'), box.querySelectorAll('tr').length]
})()"""
"""Scrolls on, and answers whether that is the end, and how many rows there are. A search by role takes much longer."""

SCROLL_AT_TOP = """(() => {
  const box = document.querySelector('.events-table .table-box')
  box.scrollTo(0, box.scrollTop === 0 ? 1 : 0)
  return box.querySelectorAll('tr').length
})()"""
"""Moves a little at the top of the rows, as a person who waits for more does, and answers how many there are."""


def rows(console: Console) -> Spot:
    """The rows of the table, its head included."""
    return console.whole.role("table", "Events").role("row")


def matches(console: Console) -> int:
    """How many events match, as the page says."""
    [said] = console.page.text(".events-bar strong")
    return -1 if said == "—" else int(said.replace(",", ""))


def open_events(console: Console, query: str = "") -> None:
    """The events, once their rows are there."""
    console.open(f"/default/events{query}", width=1280, height=800)
    until(lambda: console.page.evaluate("document.querySelector('.events-table table')?.ariaBusy === 'false'"))
    rows(console).nth(1).wait()


def filter_in_address(console: Console) -> object:
    """What the address says of the filter."""
    return json.loads(unquote(console.page.url.replace("+", " ")).partition("filter=")[2].partition("&")[0] or "{}")


def test_the_events_are_shown_newest_first(console: Console) -> None:
    open_events(console)
    console.whole.role("img", "events over time").wait()

    names = console.whole.role("columnheader").contents()
    assert names == ["Time", "Type", "Subject", "User", "Source", "Agent", "Confidence", "Data"]
    assert rows(console).count() == 101
    assert matches(console) >= EVENTS
    assert console.page.evaluate("document.querySelector('search').clientHeight") < 100  # its fields are in one line
    console.go(f"/default/events{FEW}")
    until(lambda: rows(console).count() == 21)  # with the head
    console.looks_fine("events")


def test_the_page_works_at_360_pixels(console: Console) -> None:
    open_events(console, FEW)

    console.looks_fine("events-narrow", width=360, height=740)
    assert console.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_click_filters_by_a_value_and_alt_excludes_it(console: Console) -> None:
    open_events(console)

    rows(console).role("button", "task.done", exact=True).nth(0).click()
    until(lambda: filter_in_address(console) == {"type": "task.done"})
    until(lambda: matches(console) < EVENTS / 4)
    assert console.whole.label("Type").value() == "task.done"
    rows(console).role("button", "ann", exact=True).nth(0).click(modifiers=["Alt"])
    until(lambda: filter_in_address(console) == {"type": "task.done", "userId": {"ne": "ann"}})
    console.whole.text("userId is not ann").wait()
    until(lambda: rows(console).role("button", "ann", exact=True).count() == 0)
    console.page.back()
    until(lambda: filter_in_address(console) == {"type": "task.done"})
    console.page.reload()

    rows(console).role("button", "ann", exact=True).nth(0).wait()
    assert console.whole.label("Type").value() == "task.done"


def test_the_builder_and_the_json_edit_one_filter(console: Console) -> None:
    open_events(console, FEW)

    console.whole.label("Agent").fill("reviewer")
    console.page.press("Enter")
    console.whole.label("Metadata").select("some")
    console.whole.role("button", "JSON").click()
    field = console.whole.label("Filter as JSON")
    builder = {"metadata.ai.agent": "reviewer", "metadata": {"isNull": False}}
    until(lambda: json.loads(field.value()) == {"data.number": {"lt": 20}, **builder})
    console.looks_fine("events-filter")
    field.fill('{"data.number": {"gte": 10, "lt": 20}}')
    console.whole.role("button", "Apply").click()

    console.whole.text("data.number ≥ 10, < 20").wait()
    until(lambda: matches(console) == 10)
    assert console.whole.label("Agent").value() == ""
    console.whole.role("button", "Remove the condition on data.number").click()
    until(lambda: matches(console) >= EVENTS)


def test_a_refusal_is_shown_at_its_field(console: Console) -> None:
    open_events(console)
    console.whole.role("button", "JSON").click()

    console.whole.label("Filter as JSON").fill("{nonsense")
    console.whole.role("button", "Apply").click()
    console.whole.text("This is not a JSON object.").wait()
    console.whole.label("Filter as JSON").fill('{"color": "red"}')
    console.whole.role("button", "Apply").click()

    until(lambda: console.whole.label("Filter as JSON").attribute("aria-invalid") == "true")
    console.page.problems()  # the browser writes down that requests were refused


def test_types_are_completed(console: Console) -> None:
    open_events(console)

    console.whole.label("Type").fill("code.")

    until(lambda: console.page.evaluate("[...document.querySelectorAll('datalist option')].map((each) => each.value)")
          == ["code.analysis.complete", "code.review.requested"])  # fmt: skip
    console.whole.label("Type").fill("code.*")
    console.page.press("Enter")
    until(lambda: 0 < matches(console) < EVENTS / 2)


def test_dragging_over_the_histogram_narrows_the_time(console: Console) -> None:
    open_events(console)
    bars = console.whole.role("img", "events over time")
    until(lambda: "2" in (bars.attribute("aria-label") or ""))
    box, total = bars.box(), matches(console)

    middle = box["y"] + box["height"] / 2
    console.page.mouse("move", box["x"] + 2, middle)
    console.page.mouse("down")
    console.page.mouse("move", box["x"] + box["width"] * 0.6, middle)
    console.page.mouse("up")

    console.whole.label("To").wait()
    assert "from=" in console.page.url
    until(lambda: 0 < matches(console) < total)
    console.whole.role("button", "As a table").click()
    console.whole.role("button", "Only this time").nth(0).wait()


def test_scrolling_loads_older_events_and_keeps_a_thousand(console: Console) -> None:
    open_events(console)
    shown = []

    def at_the_end() -> bool:
        ended, count = console.page.evaluate(SCROLL_ON)
        shown.append(count)
        return bool(ended)

    until(at_the_end, seconds=max(120, EVENTS // 100))
    until(lambda: "at=" in console.page.url)
    assert max(shown) <= 1001
    seen = rows(console).nth(500).content()
    console.page.reload()
    rows(console).nth(1).wait()

    assert rows(console).count() <= 101
    assert seen
    until(lambda: console.page.evaluate(SCROLL_AT_TOP) > 101)


def test_newer_events_come_before_a_short_last_page(console: Console) -> None:
    short = '?filter={"data.number":{"lt":120}}'  # a page of 100, and one of 20
    open_events(console, short)
    until(lambda: console.page.evaluate(SCROLL_ON)[0])
    until(lambda: "at=" in console.page.url)
    place = console.page.url.partition("#")[2]

    console.page.reload()
    rows(console).nth(1).wait()
    assert rows(console).count() == 21  # with the head
    until(lambda: console.page.evaluate(SCROLL_AT_TOP) == 121)

    console.open(place, width=1280, height=2000)  # so high that nobody can scroll
    until(lambda: rows(console).count() == 121)


def test_the_tail_follows_and_waits_while_a_person_reads(console: Console) -> None:
    open_events(console, "?live=1")
    console.whole.role("status").text("following").wait("attached")

    assert console.server.mutate("events.log", {"type": "tail.first", "data": {}}).status_code == 200
    rows(console).role("button", "tail.first").wait()
    console.page.evaluate("document.querySelector('.events-table .table-box').scrollTo(0, 900)")
    for _ in range(3):
        assert console.server.mutate("events.log", {"type": "tail.second", "data": {}}).status_code == 200
    console.whole.role("button", "3 new events").wait()
    assert rows(console).role("button", "tail.second").count() == 0
    console.whole.role("button", "3 new events").click()

    until(lambda: rows(console).role("button", "tail.second").count() == 3)
    assert rows(console).nth(1).content().split("\t")[1].strip() == "tail.second"


def test_columns_are_picked_members_of_the_data_too(console: Console) -> None:
    open_events(console, FEW)

    console.whole.role("button", "Columns").click()
    console.whole.label("Agent").nth(1).click()
    console.whole.label("A member of the data").fill("nested.deep")
    console.whole.role("button", "Add").click()
    console.looks_fine("events-columns")

    until(lambda: "data.nested.deep" in console.whole.role("columnheader").contents())
    assert "Agent" not in console.whole.role("columnheader").contents()
    console.page.reload()
    console.whole.role("columnheader", "data.nested.deep").wait()


@pytest.mark.parametrize(
    ("button", "count"), [("The 100 rows shown, as NDJSON", 100), ("All 20 matches, as NDJSON", 20)]
)
def test_rows_are_exported_as_ndjson(console: Console, button: str, count: int) -> None:
    query = "" if count == 100 else FEW
    open_events(console, query)
    until(lambda: matches(console) > 0)

    console.whole.role("button", "Export").click()
    file = console.whole.role("button", button).download()

    events = [json.loads(line) for line in file["text"].splitlines()]
    assert file["name"].startswith("default-")
    assert len(events) == count
    assert {"id", "hash", "data", "timestamp"} <= set(events[0])


def test_matches_are_exported_as_csv_that_runs_nothing(console: Console) -> None:
    event = {"type": "sheet.made", "userId": "=cmd|' /C calc'!A0", "data": {"a": 'x,"y"\n'}}
    assert console.server.mutate("events.log", event).status_code == 200
    open_events(console, '?filter={"type":"sheet.made"}')

    console.whole.role("button", "Export").click()
    file = console.whole.role("button", "matches, as CSV").download()

    [line] = csv.DictReader(io.StringIO(file["text"]))
    assert line["userId"] == "'=cmd|' /C calc'!A0"
    assert json.loads(line["data"]) == {"a": 'x,"y"\n'}


def test_a_view_is_saved_and_opened_again(console: Console) -> None:
    open_events(console, '?filter={"source":"sync"}&columns=time+type')
    console.whole.role("button", "Views").click()
    console.whole.label("Name of this view").fill("What phones send")
    console.whole.role("button", "Save").click()
    console.page.press("Escape")
    console.go("/default/events")
    rows(console).nth(1).wait()

    console.whole.role("button", "Views").click()
    console.whole.role("button", "What phones send", exact=True).click()

    until(lambda: filter_in_address(console) == {"source": "sync"})
    until(lambda: console.whole.role("columnheader").contents() == ["Time", "Type"])


def test_keys_walk_the_rows_and_open_one(console: Console) -> None:
    open_events(console)

    console.page.press("j")
    console.page.press("j")
    console.page.press("k")
    console.page.press("j")
    chosen = console.page.evaluate("document.activeElement.dataset.row")
    console.page.press("Enter")
    console.whole.role("heading", "Data").wait()

    assert chosen in console.page.url
    console.page.press("Escape")
    rows(console).nth(1).wait()
    console.page.press("/")
    assert console.page.evaluate("document.activeElement.dataset.filter") == "filter.type"


def test_keys_filter_by_the_values_of_a_row_and_exclude_them(console: Console) -> None:
    open_events(console, FEW)
    console.page.press("j")
    until(lambda: console.page.evaluate("document.activeElement.dataset.row"))
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        console.page.press(key)
    kind = console.page.evaluate("document.activeElement.innerText")
    console.page.press("Enter")

    until(lambda: filter_in_address(console) == {"data.number": {"lt": 20}, "type": kind})
    until(lambda: matches(console) == rows(console).count() - 1 < 5)
    console.page.press("j")
    for _ in range(3):
        console.page.press("ArrowRight")
    user = console.page.evaluate("document.activeElement.innerText")
    console.page.press("x")
    until(lambda: "userId" in str(filter_in_address(console)))
    assert filter_in_address(console) == {"data.number": {"lt": 20}, "type": kind, "userId": {"ne": user}}


def test_the_histogram_follows_a_live_log(console: Console) -> None:
    console.open('/default/events?live=1&filter={"type":"bars.logged"}')
    bars = console.whole.role("img", "0 events over time")
    bars.wait("attached")
    console.whole.role("status").text("following").wait("attached")

    assert console.server.mutate("events.log", {"type": "bars.logged", "data": {}}).status_code == 200

    console.whole.role("img", "1 event over time").wait("attached", timeout=60_000)


def test_a_lost_network_is_told_and_found_again(console: Console) -> None:
    open_events(console)
    console.page.offline(is_offline=True)
    console.whole.label("Source").select("sync")

    console.whole.text("No answer from the server. Trying again…").nth(0).wait()
    console.page.offline(is_offline=False)

    until(lambda: matches(console) > 0)
    console.page.problems()  # the browser writes down that requests failed
