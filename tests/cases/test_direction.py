"""Infinite queries: every input with a `cursor` accepts the `direction` that the official client sends with it."""

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from procedures.registry import registry
from schemas.errors import InvalidInput
from schemas.issues import decoded
from tests.kit.servers import Server
from tests.properties.test_bad_input import INPUTS

PAGED = sorted(
    name
    for name, procedure in registry().items()
    if any(field.encode_name == "cursor" for field in msgspec.structs.fields(procedure.input))
)


def test_pages_by_cursor_are_known() -> None:
    assert PAGED == ["events.list", "events.page", "intents.list", "keys.list", "subscriptions.deliveries"]


@pytest.mark.parametrize("direction", ["forward", "backward", None])
@pytest.mark.parametrize("name", PAGED)
def test_every_input_with_a_cursor_takes_a_direction(name: str, direction: str | None) -> None:
    sent = INPUTS[name] | {"cursor": "c", "direction": direction}

    assert decoded(json.dumps(sent).encode(), registry()[name].decoder).direction == direction


@pytest.mark.parametrize("direction", ["back", "", "FORWARD", 1, True])
@pytest.mark.parametrize("name", PAGED)
def test_there_are_two_directions(name: str, direction: object) -> None:
    with pytest.raises(InvalidInput, match=r"^direction: must be one of: forward, backward$"):
        decoded(json.dumps(INPUTS[name] | {"direction": direction}).encode(), registry()[name].decoder)


def _logged(server: Server, count: int) -> str:
    type_ = f"case.t{uuid4().hex}"
    events = [{"type": type_, "data": {"n": n}} for n in range(count)]
    assert server.mutate("events.logBatch", {"events": events}).status_code == 200
    return type_


def _page(server: Server, name: str = "events.page", **wanted: Any) -> dict[str, Any]:
    response = server.query(name, wanted)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()["result"]["data"]
    return page


def _numbers(page: dict[str, Any]) -> list[int]:
    return [event["data"]["n"] for event in page["events"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_backward_pages_are_the_forward_pages(server: Server, limit: int) -> None:
    type_ = _logged(server, 7)
    pages = [_page(server, type=type_, limit=limit, direction="forward")]
    while "nextCursor" in pages[-1]:
        pages.append(_page(server, type=type_, limit=limit, direction="forward", cursor=pages[-1]["nextCursor"]))

    back = [pages[-1]]
    while "previousCursor" in back[0]:
        cursor = back[0]["previousCursor"]
        back.insert(0, _page(server, type=type_, limit=limit, direction="backward", cursor=cursor))

    assert [n for page in pages for n in _numbers(page)] == [6, 5, 4, 3, 2, 1, 0]
    assert [_numbers(page) for page in back] == [_numbers(page) for page in pages]
    assert {page["total"] for page in [*pages, *back]} == {7}
    assert "previousCursor" not in pages[0]


def test_a_page_before_a_cursor_ends_right_before_it(server: Server) -> None:
    type_ = _logged(server, 7)
    cursor = _page(server, type=type_, limit=5)["nextCursor"]

    page = _page(server, type=type_, limit=2, cursor=cursor, direction="backward")
    listed = server.query("events.list", {"type": type_, "limit": 2, "cursor": cursor, "direction": "backward"})

    assert _numbers(page) == [4, 3]
    assert _numbers({"events": listed.json()["result"]["data"]}) == [4, 3]
    assert _numbers(_page(server, type=type_, cursor=page["nextCursor"])) == [2, 1, 0]


def test_what_was_logged_meanwhile_is_before_the_first_page(server: Server) -> None:
    type_ = _logged(server, 3)
    second = _page(server, type=type_, limit=1, cursor=_page(server, type=type_, limit=1)["nextCursor"])
    server.mutate("events.log", {"type": type_, "data": {"n": 3}})

    page = _page(server, type=type_, limit=9, cursor=second["previousCursor"], direction="backward")

    assert _numbers(page) == [3, 2]
    assert "previousCursor" not in page


def test_without_a_cursor_the_direction_changes_nothing(server: Server) -> None:
    type_ = _logged(server, 3)

    assert _numbers(_page(server, type=type_, limit=2, direction="backward")) == [2, 1]


def test_a_page_before_the_first_event_is_empty(server: Server) -> None:
    type_ = _logged(server, 2)
    first = _page(server, type=type_, limit=1)
    newest = _page(server, type=type_, limit=1, cursor=first["nextCursor"], direction="backward")
    assert newest["events"] == []

    assert "nextCursor" not in newest
    assert "previousCursor" not in newest


def test_keys_are_walked_both_ways(server: Server) -> None:
    for _ in range(4):
        server.mutate("keys.create", {"scopes": ["events:read"]})
    pages = [_page(server, "keys.list", limit=2)]
    while "nextCursor" in pages[-1]:
        pages.append(_page(server, "keys.list", limit=2, cursor=pages[-1]["nextCursor"], direction="forward"))

    back = [pages[-1]]
    while "previousCursor" in back[0]:
        cursor = back[0]["previousCursor"]
        back.insert(0, _page(server, "keys.list", limit=2, cursor=cursor, direction="backward"))

    assert [key["id"] for page in back for key in page["keys"]] == [key["id"] for page in pages for key in page["keys"]]


def test_deliveries_are_walked_both_ways(server: Server) -> None:
    type_ = _logged(server, 5)
    wanted = {"eventTypes": [type_], "webhookUrl": "https://93.184.216.34/hook"}
    id_ = server.mutate("subscriptions.create", wanted).json()["result"]["data"]["subscriptionId"]
    server.mutate("subscriptions.pause", {"subscriptionId": id_})
    tip = _page(server, type=type_, limit=1)["events"][0]["seq"]
    server.mutate("subscriptions.replay", {"subscriptionId": id_, "fromSeq": tip - 4, "toSeq": tip})

    def page(**more: Any) -> dict[str, Any]:
        return _page(server, "subscriptions.deliveries", subscriptionId=id_, limit=2, **more)

    pages = [page()]
    while "nextCursor" in pages[-1]:
        pages.append(page(cursor=pages[-1]["nextCursor"], direction="forward"))
    back = [pages[-1]]
    while "previousCursor" in back[0]:
        back.insert(0, page(cursor=back[0]["previousCursor"], direction="backward"))
    server.mutate("subscriptions.delete", {"subscriptionId": id_})

    walked = [[each["deliverySeq"] for each in each_page["deliveries"]] for each_page in pages]
    assert walked == [[5, 4], [3, 2], [1]]
    assert [each["deliverySeq"] for each_page in back for each in each_page["deliveries"]] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("transformer", ["none", "superjson"])
def test_the_official_infinite_query_walks_both_ways(
    node: Path, server: Server, superjson_server: Server, transformer: str
) -> None:
    asked = superjson_server if transformer == "superjson" else server
    type_ = f"case.t{uuid4().hex}"
    batch = {"events": [{"type": type_, "data": {"n": n}} for n in range(7)]}
    asked.mutate("events.logBatch", {"json": batch} if transformer == "superjson" else batch)

    command: list[str | Path] = ["node", node / "infinite.mjs", asked.url, asked.token, type_, transformer]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert ran.returncode == 0, ran.stderr
    pages = [[6, 5], [4, 3], [2, 1], [0]]
    assert json.loads(ran.stdout) == {"forward": pages, "backward": pages, "error": None}
