"""The guide docs/guides/extending.md, followed from an empty folder.

The packages that it installs are there already.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from benchmarks.process import free_port
from tests.kit import web
from tests.kit.command import synap
from tests.kit.packages import QUICK_COMPILER
from tests.kit.paths import ROOT
from tests.kit.servers import environment, until

GUIDE = (ROOT / "docs" / "guides" / "extending.md").read_text()
BLOCKS = re.findall(r"^```(sh|python|ts)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
MODULE, MORE = (text for kind, text in BLOCKS if kind == "python")
CLIENT, OTHER_TYPE = (text for kind, text in BLOCKS if kind == "ts")
CREATE, INSTALL, SERVE, PACKAGES, CONTRACT, COMPILE, RUN = COMMANDS

COMPILE_FASTER = COMPILE.replace("npx ", "node_modules/.bin/") + " --skipLibCheck"
"""Compiles the same without what the guide's own command shows: `npx` takes as long as the compiler."""


class Followed(Struct, frozen=True):
    """The folder of a reader who has followed the guide up to the call of the client, and the running server."""

    folder: Path
    variables: dict[str, str]
    url: str

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the guide in the folder."""
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{self._here(command)}"],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def write(self, name: str, text: str) -> None:
        """Write a file of the guide."""
        (self.folder / name).write_text(self._here(text))

    def call(self, name: str, value: object) -> Any:
        """The output of a mutation."""
        return web.post(f"{self.url}/trpc/{name}", json=value, headers=self.headers(), timeout=30).json()

    def ask(self, name: str, value: object = None) -> Any:
        """The output of a query."""
        parameters = {} if value is None else {"input": json.dumps(value)}
        return web.get(f"{self.url}/trpc/{name}", params=parameters, headers=self.headers(), timeout=30).json()

    def headers(self) -> dict[str, str]:
        """The headers of every call."""
        return {"authorization": f"Bearer {(self.folder / 'data' / 'control.token').read_text().strip()}"}

    def _here(self, text: str) -> str:
        return text.replace("http://127.0.0.1:8000", self.url)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, node: Path) -> Iterator[Followed]:
    """Follow the guide up to its client, with the embedded database and with `notes.get` in another module."""
    folder = tmp_path_factory.mktemp("extending")
    port = free_port()
    variables = environment(folder / "data", port=port) | QUICK_COMPILER
    del variables["SYNAP_DATA_DIR"]
    guide = Followed(folder, variables, f"http://127.0.0.1:{port}")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "node_modules").symlink_to(node / "node_modules")
    guide.write("notes.py", MODULE)
    guide.write("more.py", MORE)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {SERVE.replace('=notes ', '=notes,more ')}"],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or _is_ready(guide.url), seconds=60)
        assert process.poll() is None, (folder / "server.log").read_text()
        fetched = guide.run(CONTRACT)
        assert fetched.returncode == 0, fetched.stderr
        yield guide
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=40)


def _is_ready(url: str) -> bool:
    try:
        return web.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_guide_has_less_than_ten_commands(node: Path) -> None:
    locked = json.loads((node / "package-lock.json").read_text())["packages"]

    assert len(COMMANDS) < 10
    assert CREATE.startswith(
        "python3 -m venv .venv && .venv/bin/pip install --no-deps --require-hashes -r ../synap-events/"
    )
    assert INSTALL == ".venv/bin/pip install --no-deps --no-build-isolation ../synap-events"
    assert SERVE == "SYNAP_EXTENSIONS=notes .venv/bin/synap serve"
    [npm, install, *packages] = PACKAGES.split()
    assert [npm, install] == ["npm", "install"]
    assert {f"node_modules/{package}" for package in packages} <= set(locked)


def test_the_guide_ends_in_a_typed_call(followed: Followed) -> None:
    followed.write("client.mts", CLIENT)

    compiled = followed.run(COMPILE)
    called = followed.run(RUN)

    assert compiled.returncode == 0, compiled.stdout
    assert called.returncode == 0, called.stderr
    assert called.stdout == "Call John\n{ notes: 1 }\n"


def test_what_the_guide_calls_misspelt_does_not_compile(followed: Followed) -> None:
    misspelt = [
        ("title: 'Call John'", "titel: 'Call John'"),
        ("stars: 5", "stars: '5'"),
        ("'metadata.review.stars'", "'metadata.review.star'"),
        ("api.notes.count", "api.notes.cuont"),
        ("'note.created',", "'note.craeted',"),
        ("=== 'note.created'", "=== 'note.craeted'"),
    ]
    for place, (right, wrong) in enumerate(misspelt):
        assert right in CLIENT
        followed.write(f"wrong{place}.mts", CLIENT.replace(right, wrong))
    followed.write("client.mts", CLIENT)

    compiled = followed.run(f"{COMPILE_FASTER} {' '.join(f'wrong{place}.mts' for place in range(len(misspelt)))}")

    assert compiled.returncode != 0
    refused = {line.partition("(")[0] for line in compiled.stdout.splitlines() if "error" in line}
    assert refused == {f"wrong{place}.mts" for place in range(len(misspelt))}


TYPES = """
import { createTRPCClient, httpLink } from '@trpc/client'
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server'
import type { AppRouter, BrowsedEvent, LedgerEvent, LogEvent, OtherEventType, SynapEvent } from './contract.js'

type Inputs = inferRouterInputs<AppRouter>
type Outputs = inferRouterOutputs<AppRouter>
declare const api: ReturnType<typeof createTRPCClient<AppRouter>>
declare const event: Outputs['events']['get']
declare const browsed: BrowsedEvent
declare const entry: LedgerEvent
declare const text: string

export function reads(): string | undefined {
  const type: string = event.type
  if (event.type === 'note.created') {
    const title: string = event.data.title
    return title + event.data.tags?.join()
  }
  const free: Record<string, unknown> = event.data
  if (browsed.type === 'note.created') return browsed.data.title
  if (entry.type === 'note.created') return entry.payload.title
  if (event.type === ('task.done' as OtherEventType)) return String(event.data['any'])
  switch (browsed.type) {
    default: return type + String(free['any']) + String(browsed.data['any'])
  }
}

export async function writes() {
  const note: LogEvent = { type: 'note.created', data: { title: 'x', tags: null }, metadata: { review: { stars: 1 } } }
  const [first] = await api.events.logBatch.mutate({ events: [note, { type: text as OtherEventType, data: {} }] })
  const again: Inputs['events']['validate'] = { ...note, subjectId: 'x' }
  const listed = await api.events.list.query()
  const titles = listed.filter((each) => each.type === 'note.created').map((each) => each.data.title)
  api.events.stream.subscribe({}, { onData: ({ data }) => data.type === 'note.created' && data.data.title.length })
  api.ledger.stream.subscribe({}, { onData: ({ data }) => data.type === 'note.created' && data.payload.title.length })
  const page: readonly SynapEvent[] = (await api.events.page.query({})).events
  return [first, again, titles, page]
}

export async function wrong(log: typeof api.events.log.mutate) {
  // @ts-expect-error no such member
  await log({ type: 'note.created', data: { titel: 'x' } })
  // @ts-expect-error one too many
  await log({ type: 'note.created', data: { title: 'x', colour: 'red' } })
  // @ts-expect-error a member is missing
  await log({ type: 'note.created', data: {} })
  // @ts-expect-error a title is a text
  await log({ type: 'note.created', data: { title: 1 } })
  // @ts-expect-error tags are texts
  await log({ type: 'note.created', data: { title: 'x', tags: [1] } })
  // @ts-expect-error a type that nobody registered is marked
  await log({ type: 'note.deleted', data: {} })
  // @ts-expect-error so is a text that may be any type
  await log({ type: text, data: { title: 'x' } })
  // @ts-expect-error no such field of an event
  await log({ type: 'note.created', data: { title: 'x' }, colour: 'red' })
  // @ts-expect-error in a batch likewise
  await api.events.logBatch.mutate({ events: [{ type: 'note.created', data: {} }] })
  // @ts-expect-error what the type is has to be looked at
  event.data.title.length
  // @ts-expect-error such a type nobody registered
  event.type === 'task.done'
  // @ts-expect-error stars are numbers
  await log({ type: 'note.created', data: { title: 'x' }, metadata: { review: { stars: '5' } } })
  // @ts-expect-error a count has no such field
  await api.notes.count.query({ tars: 1 })
}
"""


@pytest.mark.parametrize("transformer", ["none", "superjson"])
def test_events_are_distinguished_by_their_type(followed: Followed, transformer: str, tmp_path: Path) -> None:
    (tmp_path / "client.mts").write_text(TYPES)
    for name in ("notes.py", "node_modules"):
        (tmp_path / name).symlink_to(followed.folder / name)
    typed = Followed(tmp_path, followed.variables | {"SYNAP_TRANSFORMER": transformer}, followed.url)
    written = synap("contract", "--typescript", env=typed.variables | {"SYNAP_EXTENSIONS": "notes"}, cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    typed.write("contract.ts", written.stdout)

    compiled = typed.run(f"{COMPILE_FASTER} --noUncheckedIndexedAccess --exactOptionalPropertyTypes")

    assert compiled.returncode == 0, compiled.stdout


def test_an_unregistered_type_is_logged_as_the_guide_says(followed: Followed) -> None:
    followed.write("client.mts", CLIENT.split("const { data }")[0] + OTHER_TYPE)

    compiled = followed.run(COMPILE_FASTER)
    called = followed.run(RUN)

    assert compiled.returncode == 0, compiled.stdout
    assert called.returncode == 0, called.stderr
    assert followed.ask("events.list", {"type": "task.done"})["result"]["data"][0]["data"] == {"any": "thing"}


WRONG = {"type": "note.created", "data": {"tags": [1], "colour": "red"}, "metadata": {"review": {"stars": 6}}}

PLACES = {"data.title", "data.tags.0", "data.colour", "metadata.review.stars"}


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [("events.log", WRONG, ""), ("events.logBatch", {"events": [WRONG, WRONG]}, "events.1.")],
    ids=["events.log", "events.logBatch"],
)
def test_every_wrong_place_is_named_at_once(followed: Followed, name: str, value: object, place: str) -> None:
    issues = followed.call(name, value)["error"]["data"]["issues"]

    places = [issue["path"].removeprefix(place) for issue in issues]
    assert PLACES.issubset(places)
    assert len(places) == len(PLACES) * (1 + name.endswith("Batch"))


def test_a_dry_run_names_every_wrong_place_too(followed: Followed) -> None:
    answer = followed.call("events.validate", {**WRONG, "occurredAt": "now"})["result"]["data"]

    assert {issue["path"] for issue in answer["issues"]} == {*PLACES, "occurredAt"}


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [({}, "data.title: is required (and 1 more)"), ({"source": None}, "source: is required (and 2 more)")],
    ids=["the data alone", "more than the data"],
)
def test_the_publish_door_rejects_invalid_data(followed: Followed, extra: dict[str, Any], sentence: str) -> None:
    event = {"type": "note.created", "source": "s", "data": {"tags": [1]}, **extra}

    answer = web.post(f"{followed.url}/v1/events", json=event, headers=followed.headers(), timeout=30)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == sentence


def test_data_comes_back_as_it_was_sent(followed: Followed) -> None:
    sent = {"type": "note.created", "data": {"tags": None, "title": "x"}}

    event = followed.call("events.log", sent)["result"]["data"]

    assert event["data"] == sent["data"]
    assert followed.ask("events.get", {"eventId": event["id"]})["result"]["data"]["data"] == sent["data"]


def test_an_extensions_error_has_its_code(followed: Followed) -> None:
    error = followed.ask("notes.get", {"title": "x"})["error"]

    assert error["message"] == "There is no note x"
    assert (error["data"]["code"], error["data"]["httpStatus"], error["data"]["reason"]) == (
        "NOT_FOUND",
        404,
        "note_missing",
    )


def test_an_extensions_procedure_respects_what_a_key_may_read(followed: Followed) -> None:
    followed.call("events.log", {"type": "note.created", "data": {"title": "x"}, "metadata": {"review": {"stars": 5}}})
    made = followed.call("keys.create", {"userId": "ann", "scopes": ["events:read-own"]})["result"]["data"]

    own = web.get(
        f"{followed.url}/trpc/notes.count", headers={"authorization": f"Bearer {made['token']}"}, timeout=30
    ).json()

    assert followed.ask("notes.count")["result"]["data"]["notes"] > 0
    assert own["result"]["data"] == {"notes": 0}


def test_what_is_registered_is_described(followed: Followed) -> None:
    kinds = followed.ask("metadata.kinds")["result"]["data"]
    procedures = followed.ask("procedures.list")["result"]["data"]

    [review] = [kind for kind in kinds if kind["name"] == "review"]
    assert review["schema"]["properties"]["stars"]["maximum"] == 5
    [count] = [each for each in procedures if each["name"] == "notes.count"]
    assert count["summary"] == "The notes that were given so many stars, or more."
