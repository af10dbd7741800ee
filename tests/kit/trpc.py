"""Node scripts and TypeScript with the newest packages of tRPC, and with the oldest that are supported."""

import json
import shutil
from pathlib import Path

from msgspec import Struct

from tests.kit import web
from tests.kit.packages import install_client
from tests.kit.paths import ROOT

SCRIPTS = ROOT / "tests" / "conformance" / "node"
OLDEST = SCRIPTS / "oldest"


class Trpc(Struct, frozen=True):
    """A folder with the scripts, whose `node_modules` have one version of tRPC and `@synap/client` upon it."""

    folder: Path
    is_oldest: bool


def newest() -> Trpc:
    """The folder of the scripts, its packages installed as its lock says."""
    install_client(SCRIPTS)
    return Trpc(SCRIPTS, is_oldest=False)


def oldest(folder: Path) -> Trpc:
    """The scripts in an empty folder, with the oldest packages of tRPC and, of all others, those of `newest`."""
    install_client(OLDEST)
    modules = folder / "node_modules"
    modules.mkdir()
    for package in (SCRIPTS / "node_modules").glob("[!.]*"):
        own = OLDEST / "node_modules" / package.name
        (modules / package.name).symlink_to(own if own.exists() else package)
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder)
    return Trpc(folder, is_oldest=True)


def typed_project(
    trpc: Trpc, url: str, folder: Path, *, transformer: str = "none", checks_packages: bool = True
) -> Path:
    """A TypeScript project of the typed sources and the contract that the server at `url` serves now.

    If it `checks_packages`, the compiler also checks the types of the newest packages, which takes half of its time.
    """
    project = folder / "typed"
    shutil.copytree(SCRIPTS / "typed", project)
    shutil.copy(project / f"options.{transformer}.ts", project / "options.ts")
    (project / "node_modules").symlink_to(trpc.folder / "node_modules")
    (project / "package.json").write_text('{"type": "module"}')
    (project / "contract.ts").write_bytes(web.get(f"{url}/trpc/contract.ts").content)
    options = json.loads((project / "tsconfig.json").read_bytes())
    if trpc.is_oldest:
        options["files"].remove("iterate.ts")
    # The own types of the oldest packages need those of `ws`.
    options["compilerOptions"]["skipLibCheck"] = trpc.is_oldest or not checks_packages
    (project / "tsconfig.json").write_text(json.dumps(options))
    return project
