"""The example page: notes are logged, listed and followed, each once, whatever happens to the connection."""

import re
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.process import free_port
from tests.browser.page import Page
from tests.browser.site import Site
from tests.kit.packages import npm
from tests.kit.servers import Server, cloned, serving, until

# A browser writes this to its console while a server is away; no script can prevent that.
AWAY = re.compile(r"Failed to load resource: net::ERR_(CONNECTION_|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)")

MARKUP = "<img src=x onerror=\"document.title='injected'\"><script>throw Error()</script>"


LOST = "Connection lost, trying again…"


def _address(site: Site, server: Server, token: str | None = None) -> str:
    return f"{site.url}/#{urlencode({'url': server.url, 'token': token or server.token})}"


def _open(page: Page, site: Site, server: Server) -> None:
    page.open(_address(site, server))
    until(lambda: page.state == "Live")


def _log(server: Server, text: str) -> None:
    response = server.mutate("events.log", {"type": "note.created", "data": {"text": text}})
    assert response.status_code == 200, response.text


def test_notes_appear_once_each_across_a_restart(
    page: Page, site: Site, postgres_url: str, template: str, tmp_path: Path, pictures: Path
) -> None:
    port = free_port()
    with cloned(postgres_url, template, "test_browser_restart") as database_url:
        settings = {"database_url": database_url, "cors_origins": site.url}
        with serving(tmp_path / "data", port=port, **settings) as server:
            _log(server, "There before")
            _open(page, site, server)
            page.fill("New note", "Buy oranges")
            page.click("Log note")
            until(lambda: page.notes == ["Buy oranges", "There before"])
            assert page.value("New note") == ""
            _log(server, "Call John")
            until(lambda: page.notes == ["Call John", "Buy oranges", "There before"])
            assert page.problems() == []
        until(lambda: page.state == LOST)
        page.fill("New note", "Written while the server was away")
        page.click("Log note")
        until(lambda: page.alert.startswith("The server cannot be reached."))
        with serving(tmp_path / "data", **settings) as elsewhere:
            _log(elsewhere, "Logged where the page cannot see it")
        with serving(tmp_path / "data", port=port, **settings) as server:
            page.click("Log note")
            until(lambda: page.state == "Live")
            _log(server, "After the restart")

            expected = [
                "After the restart",
                "Written while the server was away",
                "Logged where the page cannot see it",
                "Call John",
                "Buy oranges",
                "There before",
            ]
            until(lambda: page.notes == expected)
            assert [event["data"]["text"] for event in _stored(server)] == expected
            assert page.alert == ""
            page.screenshot(pictures / "web.png")
    assert [problem for problem in page.problems() if not AWAY.match(problem)] == []


def test_a_page_in_use_has_no_gap_between_its_list_and_the_stream(page: Page, site: Site, web_server: Server) -> None:
    texts = [f"note {number}" for number in range(30)]

    page.open(_address(site, web_server))
    for text in texts:
        _log(web_server, text)

    until(lambda: page.notes[: len(texts)] == texts[::-1])
    assert page.problems() == []


def test_a_list_and_a_stream_that_failed_are_asked_for_again(page: Page, site: Site, web_server: Server) -> None:
    _log(web_server, "before")
    page.open(_address(site, web_server), refused_once=["**/events.page*", "**/events.stream*"])
    until(lambda: page.notes[:1] == ["before"])

    _log(web_server, "after")

    until(lambda: page.state == "Live")
    until(lambda: page.notes[:2] == ["after", "before"])
    assert page.notes.count("after") == 1


def test_a_note_whose_answer_was_lost_is_logged_once(page: Page, site: Site, web_server: Server) -> None:
    page.open(_address(site, web_server), unanswered_once=["**/events.log*"])
    until(lambda: page.state == "Live")
    page.fill("New note", "said twice")

    page.click("Log note")

    until(lambda: page.value("New note") == "")
    until(lambda: page.notes.count("said twice") == 1)
    assert [event["data"]["text"] for event in _stored(web_server)].count("said twice") == 1
    assert page.alert == ""


def test_older_notes_are_shown_on_demand(page: Page, site: Site, web_server: Server) -> None:
    events = [{"type": "note.created", "data": {"text": f"old {number}"}} for number in range(30)]
    assert web_server.mutate("events.logBatch", {"events": events}).status_code == 200
    _open(page, site, web_server)
    until(lambda: page.notes == [f"old {number}" for number in reversed(range(10, 30))])

    page.click("Show older notes")

    until(lambda: page.notes[:30] == [f"old {number}" for number in reversed(range(30))])
    assert page.problems() == []


def test_markup_in_a_note_is_text(page: Page, site: Site, web_server: Server) -> None:
    _open(page, site, web_server)

    _log(web_server, MARKUP)

    until(lambda: page.notes[:1] == [MARKUP])
    assert page.problems() == []


def test_the_token_stays_in_the_fragment(page: Page, site: Site, web_server: Server) -> None:
    page.open(site.url)
    assert page.state == "Not connected"
    assert not page.enabled("Log note")

    page.fill("Address", f"{web_server.url}/")
    page.fill("Token", web_server.token)
    page.click("Connect")

    until(lambda: page.state == "Live")
    before, _, fragment = page.url.partition("#")
    assert before == f"{site.url}/"
    assert f"token={web_server.token}" in fragment
    page.open(page.url)
    until(lambda: page.state == "Live")
    assert all("?" not in line and web_server.token not in line for line in site.asked)
    assert any("events.stream" in address for address in page.asked)
    assert not [address for address in page.asked if web_server.token in address.partition("#")[0]]


def test_a_rejected_token_is_reported_and_can_be_replaced(page: Page, site: Site, web_server: Server) -> None:
    page.open(_address(site, web_server, token="sk_wrong"))
    until(lambda: "token" in page.state)
    assert any("401" in problem for problem in page.problems())

    page.fill("Token", web_server.token)
    page.click("Connect")

    until(lambda: page.state == "Live")
    assert page.problems() == []


def test_the_page_compiles_against_the_contract(example: Path) -> None:
    npm(example, "run", "check")


def _stored(server: Server) -> list[dict[str, dict[str, str]]]:
    """The latest notes. Other pages may log events of other types on the same server."""
    answer = server.query("events.list", {"type": "note.created"})
    events: list[dict[str, dict[str, str]]] = answer.json()["result"]["data"]
    return events
