"""The served TypeScript contract: right calls compile and run, and wrong calls do not compile."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conformance.exchange import Server
from tests.kit import web
from tests.kit.packages import run_compiler
from tests.kit.trpc import Trpc, typed_project


def test_contract_types_a_client(trpc: Trpc, server: Server, tmp_path: Path) -> None:
    _compile_and_run(trpc, server, tmp_path, transformer="none")


def test_contract_types_a_client_with_superjson(trpc: Trpc, superjson_server: Server, tmp_path: Path) -> None:
    _compile_and_run(trpc, superjson_server, tmp_path, transformer="superjson", checks_packages=False)


def test_contract_rejects_the_other_transformer(newest_trpc: Trpc, server: Server, tmp_path: Path) -> None:
    project = typed_project(newest_trpc, server.url, tmp_path, transformer="superjson", checks_packages=False)

    compiled = run_compiler(project)

    assert compiled.returncode != 0
    assert "transformer" in compiled.stdout


RIGHT = [
    ("colour: 'red'", "subjectId: 'x'"),
    ("colour: 'red'", "source: 'api'"),
    ("type: 'created', data", "type: 'note.made', data"),
    ("seq: 'asc', createdAt: 'desc'", "seq: 'asc'"),
    ("userId: 'ann', subjectId: 'x'", "userId: 'ann', subjectId: null"),
    ("reason === 'not_there'", "reason === 'not_found'"),
    ("subscribe({ markers: true }, { onData })", "subscribe({ markers: false }, { onData })"),
    (
        "stream.subscribe({ markers: true }, { onData })",
        "marked.events.stream.subscribe({ markers: true }, { onData })",
    ),
    ("(value) => value.data", "(value) => 'id' in value && value.data"),
    ("'id' in value && value.cursor", "'id' in value || value.cursor"),
    ("{ parent: { some: { type: 'note.made' } } }", "{ parentId: null }"),
    ("source: 'alien', markers: true", "source: 'sync', markers: true"),
    ("{ marker: true }", "{ markers: true }"),
]
"""Wrong code in `wrong.ts`, and the right code instead."""


def test_a_right_call_among_the_wrong_ones_is_noticed(newest_trpc: Trpc, server: Server, tmp_path: Path) -> None:
    """`wrong.ts` compiles, because it expects each of its errors. Copies of it are right in one place each.

    One test compiles all of them: the compiler takes most of its time for the packages.
    """
    project = typed_project(newest_trpc, server.url, tmp_path, checks_packages=False)
    text = (project / "wrong.ts").read_text()
    for place, (wrong, right) in enumerate(RIGHT):
        assert wrong in text
        (project / f"right{place}.ts").write_text(text.replace(wrong, right))
    options = json.loads((project / "tsconfig.json").read_text())
    options["files"] += [f"right{place}.ts" for place in range(len(RIGHT))]
    (project / "tsconfig.json").write_text(json.dumps(options))

    found = [line for line in run_compiler(project).stdout.splitlines() if "error" in line]

    assert [line for line in found if not line.startswith("right")] == []
    for place, (_, right) in enumerate(RIGHT):
        errors = [line for line in found if line.startswith(f"right{place}.ts(")]
        assert errors, right
        assert all("Unused '@ts-expect-error'" in error for error in errors), errors


MISSPELT = """
import { createTRPCClient, httpLink } from '@trpc/client'
import type { AppRouter } from './contract'
createTRPCClient<AppRouter>({ links: [httpLink({ url: '/trpc' })] }).nosuch.misspelt.query()
"""


@pytest.mark.parametrize(("name", "is_noticed"), [("contract.ts", True), ("contract.d.ts", False)])
def test_a_contract_without_the_servers_package_is_an_error(
    node: Path,
    server: Server,
    tmp_path: Path,
    name: str,
    is_noticed: bool,  # noqa: FBT001
) -> None:
    """With pnpm, `@trpc/client` finds its own `@trpc/server`, but the project finds none."""
    (tmp_path / "node_modules" / "@trpc").mkdir(parents=True)
    for package in ("@trpc/client", "typescript"):
        (tmp_path / "node_modules" / package).symlink_to(node / "node_modules" / package)
    (tmp_path / name).write_bytes(web.get(f"{server.url}/trpc/{name}").content)
    (tmp_path / "page.ts").write_text(MISSPELT)
    options = {"strict": True, "skipLibCheck": True, "noEmit": True, "module": "esnext", "moduleResolution": "bundler"}
    lib = {"target": "es2023", "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"], "types": []}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options | lib, "files": ["page.ts"]}))

    compiled = run_compiler(tmp_path)

    assert (compiled.returncode != 0) == is_noticed, compiled.stdout
    assert ("contract.ts(" in compiled.stdout and "'@trpc/server'" in compiled.stdout) == is_noticed


def _compile_and_run(
    trpc: Trpc, server: Server, folder: Path, *, transformer: str, checks_packages: bool = True
) -> None:
    project = typed_project(trpc, server.url, folder, transformer=transformer, checks_packages=checks_packages)

    compiled = run_compiler(project)
    assert compiled.returncode == 0, compiled.stdout

    for script in ("client", "stream" if trpc.is_oldest else "iterate"):
        command = ["node", f"out/{script}.js", server.url, server.token]
        ran = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, f"{script}: {ran.stdout}\n{ran.stderr}"
