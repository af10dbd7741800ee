"""The environment that `make` sets up, for a project with one small package and no network; and the lock files."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from benchmarks.process import free_port
from deploy.lock import PLATFORMS, PYTHONS, MissingWheelError, check
from tests.kit.paths import ROOT
from tests.kit.servers import until

TOOLS = {name: shutil.which(name) for name in ("dirname", "head", "sh")}
BACKEND = """\
import zipfile

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\nRequires-Dist: pinned",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any",
    "RECORD": "",
}

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/small-1-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(f"small-1.dist-info/{name}", text)
    return "small-1-py3-none-any.whl"
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "small"
version = "1"
"""


class Project(Struct, frozen=True):
    """A checkout whose lock pins one package, and a folder as its package index."""

    folder: Path
    wheels: Path

    def lock(self, name: str, *pinned: str) -> None:
        """Write a lock file with these requirements."""
        (self.folder / name).write_text("".join(f"{line}\n" for line in pinned))

    def start(self, target: str = "server", **variables: str) -> subprocess.Popen[str]:
        """Start `make` for a target, in its own process group and with an almost empty environment."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHON": sys.executable}
        index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            ["make", target],
            cwd=self.folder,
            env=environment | (variables or index),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, target: str = "server", **variables: str) -> str:
        """Run `make`, which must succeed and leave an environment with the pinned package. Returns its output."""
        process = self.start(target, **variables)
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        self.python("import pinned")
        return output

    def python(self, code: str) -> None:
        """Run `code` in the environment."""
        subprocess.run([self.folder / ".venv/bin/python", "-I", "-c", code], check=True)


def wheel(folder: Path, name: str, tag: str = "py3-none-any") -> str:
    """Write a wheel of version 1, and return its line for a lock file."""
    path = folder / f"{name}-1-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        archive.writestr(f"{name}-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{name}-1.dist-info/RECORD", "")
    return f"{name}==1 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def checkout(folder: Path) -> Project:
    """A checkout without an environment."""
    made = Project(folder / "checkout", folder / "wheels")
    shutil.copytree(ROOT / "deploy", made.folder / "deploy")
    shutil.copy(ROOT / "Makefile", made.folder)
    (made.folder / "pyproject.toml").write_text(PROJECT)
    (made.folder / "backend.py").write_text(BACKEND)
    made.wheels.mkdir()
    pinned, tool = wheel(made.wheels, "pinned"), wheel(made.wheels, "tool")
    made.lock("requirements.lock", pinned)
    made.lock("requirements-dev.lock", pinned, tool)
    return made


@pytest.fixture(scope="module")
def two_makes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[tuple[int, str]]]:
    """A checkout in which one `make` was killed, and then two ran at once: the exit code and the output of each.

    Most of a `make` is Python's copy of pip, so the tests share this environment and those of its copies.
    """
    project = checkout(tmp_path_factory.mktemp("made"))
    killed(project, once=(project.folder / ".venv" / "pyvenv.cfg").exists)
    both = [project.start(), project.start()]
    outputs = [process.communicate(timeout=240)[0] for process in both]
    return project, [(process.returncode, output) for process, output in zip(both, outputs, strict=True)]


@pytest.fixture
def ready(two_makes: tuple[Project, list[tuple[int, str]]]) -> Iterator[Project]:
    """A checkout that has what the server needs, and not what the tests need. It is put back after the test."""
    project, _ = two_makes
    kept = {path: path.read_text() for path in (project.folder / ".venv/.ready", *project.folder.glob("*.lock"))}
    yield project
    for path, text in kept.items():
        path.write_text(text)


def test_two_makes_at_once_set_up_one_environment(two_makes: tuple[Project, list[tuple[int, str]]]) -> None:
    project, both = two_makes

    assert [code for code, _ in both] == [0, 0], both
    assert sorted("anew: it was not finished." in output for _, output in both) == [False, True]
    assert sorted("Setting up" in output for _, output in both) == [False, True]
    assert project.make() == "", "the next run has nothing to do"


def test_what_the_tests_need_is_added_to_what_the_server_needs(ready: Project) -> None:
    assert ready.make("dev").startswith("Adding to .venv what the tests need.")

    ready.python("import pinned, tool")
    assert ready.make("server") + ready.make("dev") == "", "it has the server's packages, and the others"


def test_what_is_there_but_wrong_is_made_anew(ready: Project, tmp_path: Path) -> None:
    moved = Project(tmp_path / "moved here", ready.wheels)
    shutil.copytree(ready.folder, moved.folder, symlinks=True)
    assert "anew: the folder was moved." in killed(moved)

    described = json.loads((ready.folder / ".venv" / ".ready").read_text()) | {"folder": str(moved.folder)}
    (moved.folder / ".venv" / ".ready").write_text(json.dumps(described | {"python": "/usr/bin/python3.10"}))
    assert "anew: another Python made it." in killed(moved)


def killed(project: Project, *, once: Callable[[], bool] | None = None) -> str:
    """Kill `make` as soon as it changes the environment, or this condition is true. Returns its output."""
    process = project.start()
    until(once or (lambda: not (project.folder / ".venv" / ".ready").exists()))
    os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


def test_settings_of_pip_do_not_change_what_is_installed(ready: Project, tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("other==2\n")
    (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path}/constraints.txt\nuser = true\n")
    settings = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_TARGET": str(tmp_path / "elsewhere")}
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(ready.wheels)}
    ready.lock("requirements-dev.lock", wheel(ready.wheels, "other"))

    ready.make("dev", PYTHONPATH=str(tmp_path), **index, **settings)

    ready.python("import pinned, other")
    assert not (tmp_path / "elsewhere").exists()


def test_an_index_that_cannot_be_reached_is_one_sentence(ready: Project) -> None:
    ready.lock("requirements-dev.lock", wheel(ready.wheels, "far"))
    process = ready.start("dev", PIP_INDEX_URL=f"http://127.0.0.1:{free_port()}/", PIP_RETRIES="1")

    lines = process.communicate(timeout=240)[0].splitlines()

    assert process.returncode == 2
    [sentence] = [line for line in lines if not line.startswith(("Adding to .venv", "make: "))]
    assert sentence.startswith(
        "No environment: the package index cannot be reached: check the network, or name a proxy"
    )


def test_a_package_without_a_file_for_this_machine_is_one_sentence(ready: Project) -> None:
    ready.lock("requirements-dev.lock", wheel(ready.wheels, "elsewhere", "cp311-cp311-win_arm64"))

    output = ready.start("dev").communicate(timeout=240)[0]

    assert "\nNo environment: the package index has no file of elsewhere==1 for this machine: check that" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("script", "found"),
    [
        pytest.param(None, "there is no python3", id="none"),
        pytest.param('#!/bin/sh\necho Python 2.7.18\n[ "$1" = --version ]\n', "python3 is Python 2.7.18", id="too old"),
    ],
)
def test_a_missing_python_is_one_sentence(tmp_path: Path, script: str | None, found: str) -> None:
    for name, path in TOOLS.items():
        (tmp_path / name).symlink_to(str(path))
    if script:
        (tmp_path / "python3").write_text(script)
        (tmp_path / "python3").chmod(0o755)

    refused = subprocess.run(
        ["sh", str(ROOT / "deploy" / "environment.sh"), "server"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        f"Synap Events needs Python {PYTHONS[0]} to {PYTHONS[-1]}, but {found}: install one"
    )
    assert refused.stderr.count("\n") == 1


def test_a_python_without_ensurepip_is_one_sentence(tmp_path: Path) -> None:
    venv.create(tmp_path / "debian", symlinks=True)
    [packages] = (tmp_path / "debian" / "lib").glob("python3.*/site-packages")
    (packages / "debian.pth").write_text("import sys; sys.modules['ensurepip'] = None\n")

    refused = checkout(tmp_path).start(PYTHON=str(tmp_path / "debian" / "bin" / "python3"))

    output = refused.communicate(timeout=60)[0]
    assert re.search(
        r"^No environment: .* lacks venv or ensurepip \(Debian: apt-get install python3.*\)\.$", output, re.MULTILINE
    )
    assert "Traceback" not in output


def pins(name: str) -> dict[str, set[str]]:
    """The packages of a lock with their versions, and the hashes of each."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return {line.split(" ")[0]: set(re.findall(r"--hash=sha256:[0-9a-f]{64}", line)) for line in text.splitlines()}


def test_the_locks_agree_and_pin_every_file() -> None:
    server, everything = pins("requirements.lock"), pins("requirements-dev.lock")

    assert server.items() <= everything.items()
    assert all("==" in package and hashes for package, hashes in everything.items())
    assert "://" not in (ROOT / "requirements.lock").read_text() + (ROOT / "requirements-dev.lock").read_text()
    assert not [package for package in server if package.startswith(("pytest", "ruff", "mypy", "hypothesis"))]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert [line.partition(">")[0] for line in groups["build"]] == ["editables", "hatchling"], (
        "otherwise it is in both locks"
    )


@pytest.mark.parametrize(
    ("tag", "platform", "pythons"),
    [
        pytest.param("cp312-abi3-manylinux_2_28_x86_64", "x86_64-manylinux_2_28", PYTHONS[1:], id="linux"),
        pytest.param("cp314-cp314-manylinux_2_17_aarch64", "aarch64-manylinux_2_28", PYTHONS[3:], id="one Python"),
        pytest.param("py3-none-macosx_13_0_arm64", "aarch64-apple-darwin", PYTHONS, id="macOS"),
        pytest.param("py3-none-macosx_14_0_arm64", "aarch64-apple-darwin", (), id="a later macOS"),
    ],
)
def test_a_lock_without_a_wheel_for_a_system_is_rejected(
    tmp_path: Path, tag: str, platform: str, pythons: tuple[str, ...]
) -> None:
    lock = tmp_path / "requirements.lock"
    everywhere, somewhere = wheel(tmp_path, "everywhere"), wheel(tmp_path, "somewhere", tag)
    lock.write_text(f"--no-index\n--find-links {tmp_path}\n{everywhere}\n{somewhere}\n")

    with pytest.raises(MissingWheelError) as missing:
        check(lock)

    fits = {f"Python {python}, {PLATFORMS[platform]}" for python in pythons}
    systems = {f"Python {python}, {system}" for system in PLATFORMS.values() for python in PYTHONS}
    assert set(re.findall(r"^(Python .*?): ", str(missing.value), re.MULTILINE)) == systems - fits
    assert "everywhere" not in str(missing.value)


def test_the_supported_systems_are_the_same_everywhere() -> None:
    readme = (ROOT / "README.md").read_text()
    script = (ROOT / "deploy" / "environment.sh").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classified = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python ::" in line]

    assert f"Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}" in readme
    assert re.findall(r"^- (.*, glibc .*|macOS .*)$", readme, re.MULTILINE) == list(PLATFORMS.values())
    assert f"oldest={PYTHONS[0][2:]} newest={PYTHONS[-1][2:]}\n" in script
    assert classified == list(PYTHONS)
    assert project["requires-python"] == f">={PYTHONS[0]}"
