"""`@synap/client` from its tarball, in node: what it sends, what it repeats, and what it reports."""

import json
import subprocess
from hashlib import sha256
from inspect import getmembers, isclass
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from app.ledger.verify import verify_bundle
from app.surfaces.shared.statuses import TRPC_CODES
from schemas import errors
from schemas.event import Source
from schemas.metadata import metadata_struct
from schemas.principal import Scope
from tests.kit import authors, web
from tests.kit.bundles import build, write
from tests.kit.packages import CLIENT, compile_typescript
from tests.kit.paths import VECTORS
from tests.kit.servers import Server
from tests.kit.trpc import Trpc

BUILT_IN_KINDS = 6


@pytest.fixture
def package(trpc: Trpc) -> Path:
    """A folder of node's in which the package is installed, beside one version of tRPC."""
    return trpc.folder


def test_calls_go_in_batches_that_the_server_takes(package: Path, server: Server) -> None:
    assert _case(package, "batches", server) == 100


def test_long_inputs_go_in_bodies(package: Path, server: Server) -> None:
    requests = _case(package, "long", server)

    assert sorted(requests) == ["POST /trpc/events.log", "POST /trpc/events.page", "POST /trpc/events.stream"]


def test_a_write_whose_answer_was_lost_is_repeated_under_its_id(package: Path, server: Server) -> None:
    assert _case(package, "lost", server) == [0, 1, 2]


def test_a_key_that_has_ended_is_renewed_once_for_all_calls(package: Path, server: Server) -> None:
    ended = server.mutate("keys.create", {"scopes": ["*"]}).json()["result"]["data"]
    assert server.mutate("keys.revoke", {"keyId": ended["id"]}).status_code == 200

    asked, requests = _case(package, "renewed", server, ended["token"])

    assert asked == 2
    assert requests == 5, "a query and a mutation, both again, and one more query"


def test_a_rejected_key_is_renewed_once_and_then_reported(package: Path, server: Server) -> None:
    assert _case(package, "refused", server) == [6, "UNAUTHORIZED", "UNAUTHORIZED"]


def test_errors_of_fields_have_their_paths(package: Path, server: Server) -> None:
    paths, message, missing, other = _case(package, "fields", server)

    assert sorted(paths) == ["metadata.ai.agent", "type"]
    assert message == "is required"
    assert missing == other == {}


def test_an_answer_of_a_proxy_is_recognised(package: Path, server: Server) -> None:
    requests, message = _case(package, "proxied", server)

    assert requests == 2
    assert message == "HTTP 502, but not from a Synap server: a proxy or another server answered"


def test_the_wrong_transformer_is_reported(package: Path, server: Server) -> None:
    assert "SYNAP_TRANSFORMER" in _case(package, "transformers", server)


def test_superjson_brings_dates_over_both_transports(package: Path, superjson_server: Server) -> None:
    assert _case(package, "dates", superjson_server) == [True, True]


def test_a_stream_that_was_lost_before_its_first_event_loses_nothing(package: Path, server: Server) -> None:
    outcome = _case(package, "away", server)

    for transport in ("sse", "ws"):
        numbers, states = outcome[transport]
        assert numbers == [1, 2]
        assert states == ["connecting", "pending", "connecting", "pending"]


def test_a_listener_that_throws_gets_the_next_event(package: Path, server: Server) -> None:
    assert _case(package, "thrown", server) == [[0, 1, 2], ["not 0", "not 1"]]


def test_a_log_is_followed_from_any_place(package: Path, server: Server) -> None:
    assert _case(package, "places", server) == {
        "beginning": [0, 1, 2, 9],
        "id": [1, 2, 9],
        "time": [0, 1, 2, 9],
        "newest": [1, 2, 9],
        "page": [9],
        "empty": [0, 1, 2, 9],
    }


def test_a_page_knows_as_the_server_does_which_list_an_event_belongs_to(package: Path, server: Server) -> None:
    assert _case(package, "meets", server) == [[], False]


def test_calls_and_streams_name_the_workspace(package: Path, server: Server) -> None:
    assert _case(package, "workspace", server) == ["NOT_FOUND"] * 3


def test_every_event_that_is_logged_is_signed(package: Path, server: Server) -> None:
    did = _case(package, "signed", server, sha256(package.name.encode()).hexdigest())

    export = web.get(f"{server.url}/ledger/v1/events/export", headers=server.headers, timeout=60).content
    verdict = verify_bundle(export)
    assert (verdict.broken, verdict.authors[did]) == (None, 3)


def test_what_is_signed_is_what_the_vectors_say(package: Path, server: Server) -> None:
    signed, wrong = _case(package, "vectors", server, str(VECTORS / "authors.json"), authors.SECRET)

    assert signed >= len(authors.RIGHT)
    assert wrong == []


def test_the_constants_are_those_of_the_server(newest_trpc: Trpc) -> None:
    failures = [kind for _, kind in getmembers(errors, isclass) if issubclass(kind, errors.ProcedureError)]

    constants = _run(newest_trpc.folder, "console.log(JSON.stringify(await import('@synap/client')))")

    assert constants == {
        "SOURCES": list(get_args(Source)),
        "SCOPES": list(Scope),
        "ERROR_CODES": sorted({*get_args(errors.IssueCode), *(kind.code for kind in failures)}),
        "TRPC_CODES": TRPC_CODES,
        "METADATA_KINDS": [field.encode_name for field in msgspec.structs.fields(metadata_struct())][:BUILT_IN_KINDS],
    }


TYPED = """
import { createSynap, type ErrorCode, follow, SCOPES, type Scope, SOURCES, toFieldErrors } from '@synap/client'
import { approved, ask, IntentError } from '@synap/client'
import { useEvents, useLiveEvents, useLogEvent } from '@synap/client/react'
import { verifyBundle } from '@synap/client/verify'
import type { AppRouter, EventPage, SynapEvent } from './contract'

const api = createSynap<AppRouter>({ url: '', token: async () => 'x', transport: 'ws', workspace: 'default' })
const page: EventPage = await api.events.page.query({ type: 'note.*', filter: { 'data.x': 1 } })
const seen: SynapEvent[] = []
const stop: () => void = follow(api, { type: 'note.*', filter: { 'data.x': 1 } }, {
  from: page,
  onEvent: (event) => seen.push(event),
  onPage: ({ nextCursor }) => console.log(nextCursor),
  onState: (state, error) => console.log(state === 'live', error?.message),
})
const source: SynapEvent['source'] = SOURCES[0]
const made = await api.keys.create.mutate({ scopes: [...SCOPES] })
const scopes: Scope[] = made.scopes
const fields: Record<string, string> = toFieldErrors(new Error())
const verdict = await verifyBundle('{}')
const seq: number | null | undefined = verdict.broken?.seq
const refund = approved(
  api,
  'payment.refund',
  ({ amount }: { orderId: string; amount: number }, signal) => (signal?.aborted ? 0 : amount),
  { describe: ({ orderId }) => orderId, risk: 'high', event: { subjectId: 'x', metadata: { ai: { agent: 'a' } } } },
)
const paid: number = await refund({ orderId: 'order-7', amount: 1 }, { key: 'job-17', waitSeconds: 60 })
const intent = await ask(api, 'payment.refund', [1], { uses: 2 })
const stored: SynapEvent = intent.event
const why: string | undefined = new IntentError('rejected', stored.id, '').why
// @ts-expect-error a misspelt parameter
refund({ orderId: 'order-7', amuont: 1 })
// @ts-expect-error no such risk
ask(api, 'payment.refund', {}, { risk: 'huge' })
// @ts-expect-error the type is the first argument
ask(api, 'payment.refund', {}, { event: { type: 'x.y' } })
console.log(paid, why, stop, source, scopes, fields, seq, 'not_found' satisfies ErrorCode)

export function Page(): SynapEvent[] {
  const list = useEvents(api, { type: 'note.*' }, { limit: 20 })
  const live = useLiveEvents(api, { type: 'note.*' })
  const log = useLogEvent(api)
  log.mutate({ type: 'note.created', data: {} }, { onSuccess: (event: SynapEvent) => console.log(event.seq) })
  // @ts-expect-error an event needs data
  log.mutate({ type: 'note.created' })
  // @ts-expect-error an unknown member of a filter
  useLiveEvents(api, { typ: 'note.*' })
  return live.state === 'live' && !live.events[0]?.pending ? live.events : list.events
}

// @ts-expect-error an unknown member of a filter
follow(api, { typ: 'note.*' }, { from: 'now', onEvent: () => {} })
// @ts-expect-error a place is needed
follow(api, {}, { onEvent: () => {} })
// @ts-expect-error a filter of a stream knows no related events
follow(api, { filter: { parent: { some: {} } } }, { from: 'now', onEvent: () => {} })
// @ts-expect-error the server has no transformer
createSynap<AppRouter>({ url: '', token: () => 'x', transformer: { serialize: String, deserialize: String } })
// @ts-expect-error a misspelt procedure
api.events.lst.query()
"""


def test_the_types_fit_the_contract(trpc: Trpc, server: Server, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(trpc.folder / "node_modules")
    (tmp_path / "contract.ts").write_text(web.get(f"{server.url}/trpc/contract.ts").text)
    (tmp_path / "page.ts").write_text(TYPED)
    options = json.loads((CLIENT / "tsconfig.json").read_bytes())["compilerOptions"] | {"noEmit": True, "rootDir": "."}
    options |= {"skipLibCheck": trpc.is_oldest}  # its own types need those of node
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["contract.ts", "page.ts"]})
    )

    compile_typescript(tmp_path)


def test_the_verifier_is_a_part_of_it(newest_trpc: Trpc, tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    export.write_bytes(write(build(20)))

    verdict = _run(
        newest_trpc.folder,
        "const { readFileSync } = await import('node:fs')\n"
        "const { verifyBundle } = await import('@synap/client/verify')\n"
        f"console.log(JSON.stringify(await verifyBundle(readFileSync({json.dumps(str(export))}))))",
    )

    assert (verdict["broken"], verdict["count"]) == (None, 20)


def test_the_command_writes_the_contract_and_checks_it(newest_trpc: Trpc, server: Server, tmp_path: Path) -> None:
    written = _contract(newest_trpc.folder, tmp_path, server.url)
    same = _contract(newest_trpc.folder, tmp_path, f"{server.url}/trpc/", "--check")

    assert (written.returncode, same.returncode, same.stdout) == (0, 0, "")
    contract = (tmp_path / "contract.ts").read_text()
    assert contract == web.get(f"{server.url}/trpc/contract.ts").text

    (tmp_path / "old.ts").write_text(contract.replace("  subjectId?: string;\n", "", 1))
    old = _contract(newest_trpc.folder, tmp_path, server.url, "-o", "old.ts", "--check")

    assert old.returncode == 1
    assert old.stdout.startswith(f"old.ts is not the contract of {server.url}. Write it again with: synap-contract ")
    assert [line for line in old.stdout.splitlines() if line[:1] in "+-"] == ["+   subjectId?: string;"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name one server, by its URL"),
        (["{url}", "--check", "-o", "none.ts"], "none.ts cannot be read (ENOENT)"),
        (["{url}/nowhere"], "answered 404 and no contract"),
        (["http://127.0.0.1:1"], "cannot be reached"),
    ],
    ids=["no server", "no file", "no contract", "nobody"],
)
def test_the_command_says_what_it_cannot_do(
    newest_trpc: Trpc, server: Server, tmp_path: Path, arguments: list[str], told: str
) -> None:
    ran = _contract(newest_trpc.folder, tmp_path, *(argument.format(url=server.url) for argument in arguments))

    assert ran.returncode == 2
    assert told in ran.stderr


def _contract(package: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command `synap-contract` in a folder."""
    command = package / "node_modules" / "@synap" / "client" / "bin" / "synap-contract.mjs"
    return subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def _case(package: Path, name: str, server: Server, *keys: str) -> Any:
    """Run a case of `package_cases.mjs`, and return what it prints."""
    return _node(package, "package_cases.mjs", name, server.url, server.token, *keys)


def _run(package: Path, script: str) -> Any:
    return _node(package, "--input-type=module", "-e", script)


def _node(package: Path, *arguments: str) -> Any:
    ran = subprocess.run(["node", *arguments], cwd=package, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
