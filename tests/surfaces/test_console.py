"""The console's files: what the browser may keep, and what the page may load."""

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest

from app.surfaces.console.door import POLICY, STATIC
from tests.kit import web
from tests.kit.servers import Server, serving

FILES = sorted(path.name for path in STATIC.iterdir() if path.name != "index.html")


@pytest.fixture(scope="module")
def page(server: Server) -> httpx.Response:
    """The page, as a browser gets it."""
    return web.get(f"{server.url}/console")


def test_the_page_lets_nothing_in_but_its_own_files(page: httpx.Response) -> None:
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=|https?://(?!www\.w3\.org)", page.text)


def test_the_page_names_its_files_by_relative_addresses(page: httpx.Response) -> None:
    named = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page.text)

    assert sorted(named) == [f"console/{name}" for name in FILES]


def test_the_page_is_asked_for_again_and_not_sent_again(page: httpx.Response, server: Server) -> None:
    again = web.get(f"{server.url}/console", headers={"if-none-match": page.headers["etag"]})

    assert page.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_kept_for_ever(server: Server, name: str) -> None:
    answer = web.get(f"{server.url}/console/{name}")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))
    assert answer.content == (STATIC / name).read_bytes()


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None)],
)
def test_a_file_is_compressed_for_those_who_accept_that(server: Server, accepted: str, encoding: str | None) -> None:
    with web.stream("GET", f"{server.url}/console/{FILES[0]}", headers={"accept-encoding": accepted}) as answer:
        sent = b"".join(answer.iter_raw())

    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "accept-encoding"
    assert (gzip.decompress(sent) if encoding else sent) == (STATIC / FILES[0]).read_bytes()


def test_the_address_with_a_slash_leads_to_the_page(server: Server) -> None:
    answer = web.get(f"{server.url}/console/")

    assert (answer.status_code, answer.headers["location"]) == (308, "../console")


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2fdoor.py", "%2e%2e"])
def test_no_other_file_is_served(server: Server, name: str) -> None:
    assert web.get(f"{server.url}/console/{name}").status_code == 404


@pytest.fixture
def server_without(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    """A server whose console is turned off."""
    with serving(tmp_path_factory.mktemp("off"), database_url=database_url, console="false") as server:
        yield server


def test_the_console_can_be_turned_off(server_without: Server) -> None:
    assert web.get(f"{server_without.url}/console").status_code == 404
    assert web.get(f"{server_without.url}/console/{FILES[0]}").status_code == 404
