"""The documents are complete: all pages are linked, all links work, and everything that users meet is described."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import msgspec
import pytest
from cyclopts import App

from app.cli.main import cli
from app.settings import Settings
from app.surfaces.shared.statuses import TRPC_CODES
from procedures.registry import registry
from schemas.errors import IssueCode, ProcedureError
from schemas.principal import Scope
from tests.kit.paths import ROOT, VECTORS

DOCS = ROOT / "docs"
TRACKED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
PAGES = [ROOT / name for name in TRACKED if name.endswith(".md")]
SOURCES = [
    name
    for name in TRACKED
    if Path(name).suffix in {".py", ".mjs", ".ts", ".sh", ".toml", ".json"} and Path(name).name != Path(__file__).name
]
TEXT = "\n".join(page.read_text() for page in PAGES)
SETTINGS = (DOCS / "operate" / "settings.md").read_text()
ERRORS = (DOCS / "reference" / "errors.md").read_text()
COMMANDS = (DOCS / "reference" / "cli.md").read_text()
KEYS = (DOCS / "guides" / "keys-and-workspaces.md").read_text()

FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
ROOMS = "surfaces|store|delivery|access|capacity|filters|ledger|cli|server|contract|sealing|telemetry"
SOURCE = re.compile(rf"`((?:app|procedures|schemas|tests|clients|deploy|benchmarks|{ROOMS})/[\w./]+)`")
STREAM = re.compile(r"\.stream\.\w+\(\s*(\{[^}]*\})")
CITED = re.compile(r"\bdocs/(?:[\w/-]+\.md|decisions/\d{4})\b")
SECTION = re.compile(r"(docs/(?:api|reference)/\w+\.md)`?, (?:section )?([^`)\"]{1,40})")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(FENCE.sub("", page.read_text())) if not re.match(r"[a-z]+:", link)]

    assert [link for link in links if not _leads(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_source_that_a_page_names_exists(page: Path) -> None:
    named = set(SOURCE.findall(page.read_text()))

    missing = {path for path in named if not any((root / path).exists() for root in (ROOT, ROOT / "app"))}
    assert not missing


def test_every_module_of_a_walk_exists() -> None:
    modules = set(re.findall(r"[\w/]+\.py", (DOCS / "architecture.md").read_text()))

    assert len(modules) > 20
    assert {module for module in modules if not any((ROOT / room / module).exists() for room in ("", "app"))} == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page != ROOT / "README.md"], ids=_name)
def test_an_index_links_every_page(page: Path) -> None:
    indexes = [ROOT / "README.md", *DOCS.rglob("index.md")]

    linked = {target for index in indexes for target in _linked(index) if index != page}

    assert page in linked


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda page: page.name)
def test_every_decision_has_one_form(page: Path) -> None:
    title, *parts = re.findall(r"^##? (.*)$", page.read_text(), re.MULTILINE)

    assert title.startswith(f"{page.name[:4]}: ")
    assert parts[:3] == ["Context", "Decision", "Consequences"]
    assert parts[3:] in ([], ["Alternatives"])


def test_every_page_that_the_source_cites_exists() -> None:
    cited = {(name, path) for name in SOURCES for path in CITED.findall((ROOT / name).read_text())}

    assert cited
    assert {each for each in cited if not _cited_exists(each[1])} == set()


def test_every_section_that_the_source_cites_exists() -> None:
    cited = {
        (name, page, section)
        for name in SOURCES
        for page, section in SECTION.findall(re.sub(r"\s*\n[\s#/]*", " ", (ROOT / name).read_text()))
    }

    assert len(cited) > 20
    assert {each for each in cited if not _is_section(*each[1:])} == set()


def test_every_setting_is_documented() -> None:
    named = set(re.findall(r"SYNAP_[A-Z_]+", SETTINGS))

    settings = {f"SYNAP_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
    assert settings | {"SYNAP_TOKEN"} == named  # read by commands that call a server


def test_every_error_is_documented() -> None:
    protocol = {"PARSE_ERROR", "METHOD_NOT_SUPPORTED"}

    assert {code for code in TRPC_CODES if f"| {code} |" in ERRORS} == set(TRPC_CODES) - protocol


def test_every_reason_of_an_error_is_documented() -> None:
    reasons = {each.code for each in _subclasses(ProcedureError)} | set(get_args(IssueCode))

    assert {"conflict", "invalid_event_type", "too_deep", "wrong_transformer"} <= reasons
    assert {reason for reason in reasons if f"`{reason}`" not in ERRORS} == set()


def test_every_command_and_option_is_documented() -> None:
    commands = dict(_commands(cli))

    assert "keys create" in commands
    assert {name for name in commands if f"`synap {name}" not in COMMANDS} == set()
    options = {option for options in commands.values() for option in options}
    assert {option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", COMMANDS)} == set()


def test_every_scope_is_documented() -> None:
    assert {scope for scope in Scope if f"| `{scope}` |" not in KEYS} == set()


@pytest.mark.parametrize("name", ["publish", "ledger", "browse"])
def test_the_page_of_an_api_names_every_member_of_its_examples(name: str) -> None:
    page = (DOCS / "api" / f"{name}.md").read_text()

    members = set(_members(json.loads((VECTORS / "api" / f"{name}.json").read_text())))
    assert {member for member in members if not re.search(rf"`[^`\n]*\b{member}\b[^`\n]*`", page)} == set()


@pytest.mark.parametrize("name", registry())
def test_every_procedure_has_a_request_in_the_documents(name: str) -> None:
    assert f"/{name}" in TEXT


def test_no_sample_of_a_stream_begins_now() -> None:
    """A stream over WebSocket that is cut before its first event would lose what was logged meanwhile."""
    pages = [ROOT / name for name in TRACKED if name.startswith(("docs/", "examples/", "clients/", "README"))]
    code = "".join(page.read_text() for page in pages if page.suffix in {".md", ".ts", ".tsx"})
    samples = STREAM.findall(code)

    assert samples
    assert [sample for sample in samples if "start:" not in sample] == []


def _leads(page: Path, link: str) -> bool:
    """Whether a relative link and its anchor lead to a file of this repository."""
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page: its headings, as they are written in a URL."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _linked(index: Path) -> set[Path]:
    """The files that a page links."""
    return {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}


def _cited_exists(path: str) -> bool:
    """Whether a cited page exists. A decision may be cited by its number."""
    return (ROOT / path).exists() or any((ROOT / path).parent.glob(f"{Path(path).name}-*.md"))


def _is_section(page: str, cited: str) -> bool:
    """Whether a citation begins with a heading of the page, or with the number of a heading or of a point below it."""
    titles = re.findall(r"^#+ (?:[\d.]+ )?(.*)$", (ROOT / page).read_text(), re.MULTILINE)
    numbers = re.findall(r"^(?:## |- )(\d+(?:\.\d+)?)", (ROOT / page).read_text(), re.MULTILINE)
    return cited.startswith(tuple(titles)) or (re.match(r"[\d.]*\d", cited) or [""])[0] in numbers


def _subclasses(error: type[ProcedureError]) -> Iterator[type[ProcedureError]]:
    """Yield the classes of failures that the server declares."""
    for each in error.__subclasses__():
        if each.__module__.split(".")[0] in {"app", "procedures", "schemas"}:
            yield each
            yield from _subclasses(each)


def _commands(app: App, *path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every executable command with its options."""
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        if inner := [*_commands(command, *path, name)]:
            yield from inner
        else:
            options = [each for argument in command.assemble_argument_collection() for each in argument.names]
            yield " ".join((*path, name)), options


TOLD = {"parameters", "fields", "request", "answer", "page", "event"}
"""The parts of an API's examples that its page must describe."""


def _members(examples: Any, *, inside: bool = False) -> Iterator[str]:
    """Yield the names of parameters, of sent members and of returned members."""
    if isinstance(examples, list):
        for each in examples:
            yield from _members(each, inside=inside)
    elif isinstance(examples, dict):
        for name, value in examples.items():
            if inside:
                yield name.rpartition(".")[2].rstrip("?")
            yield from _members(value, inside=inside or name in TOLD)
