"""Follows a Dockerfile without Docker, in namespaces and folders that vanish when it ends.

`python -m tests.kit.images DOCKERFILE CONTEXT FOLDER NAME=VALUE... -- COMMAND...` makes each stage of a copy of this
machine's files that keeps its changes for itself (overlayfs), in place of the image that `FROM` names. It ends as the
command, or as the program that the image starts: on read-only files, as the image's user, without capabilities. It
needs root.

pip is replaced by uv, which installs the same packages in a tenth of the time; `make soak` keeps pip.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct, field

from deploy.first_run import NETWORK
from tests.kit.examples import ALL
from tests.kit.paths import ROOT

BASE = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
BIN = Path("/usr/local/image/bin")
"""Has the commands `python` and `pip`, which the image of `FROM` brings."""

PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = f'#!/bin/sh\nexec {BASE} "$@"\n'
PIP = f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n'
UV_AS_PIP = f"""\
#!/bin/sh
[ "$1 $3" = "--python install" ] || exit 2
python=$2
shift 3
exec {Path(sys.executable).with_name("uv")} --quiet --system-certs pip install --link-mode copy --python "$python" "$@"
"""


class Step(Struct, frozen=True):
    """One instruction."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """What follows the name, in words."""
        return shlex.split(self.text)

    @property
    def listed(self) -> list[str]:
        """What follows the name, as JSON."""
        return msgspec.json.decode(self.text, type=list[str])


class Stage(Struct):
    """What the steps of a stage have made so far."""

    root: Path
    workdir: str = "/"
    user: str = "0:0"
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    command: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def enter(self, *command: str) -> list[str]:
        """A call of a command in this stage, as its user. Only root keeps its capabilities."""
        given = [f"{name}={value}" for name, value in self.variables.items()]
        user, _, group = self.user.partition(":")
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        bounded = ["--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"] if user != "0" else []
        return ["chroot", str(self.root), *become, *bounded, "env", "-i", "-C", self.workdir, *given, *command]

    def run(self, command: str) -> None:
        """Run a command, which must succeed. It may reach the network as we do."""
        network = [f"{name}={os.environ[name]}" for name in NETWORK if name in os.environ]
        subprocess.run(self.enter(*network, "sh", "-c", command), check=True)


def parsed(dockerfile: str) -> list[Step]:
    """The instructions of a Dockerfile."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE))
    return [Step(*line.split(maxsplit=1)) for line in text.splitlines() if line]


def context(folder: Path) -> None:
    """Copy what `.dockerignore` lets Docker have of this checkout: what it names after `!`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for name in (line[1:] for line in lines if line.startswith("!")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)


def _mount(kind: str, target: Path, *options: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", kind, *options, kind, target], check=True)


def _new_stage(folder: Path) -> Stage:
    """A copy of this machine, with the commands that images of Python have. Its user may be anyone."""
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    _mount("overlay", root, "-o", f"lowerdir=/,upperdir={upper},workdir={work}")
    for each in ("dev", "proc"):
        subprocess.run(["mount", "--rbind", f"/{each}", root / each], check=True)
    bin_folder = root / BIN.relative_to("/")
    bin_folder.mkdir(parents=True)
    for name, text in {"python": PYTHON, "pip": PIP if ALL else UV_AS_PIP}.items():
        (bin_folder / name).write_text(text)
        (bin_folder / name).chmod(0o755)
    for parent in (root / BASE.relative_to("/")).parents:
        if parent.is_relative_to(root):
            parent.chmod(parent.stat().st_mode | 0o055)
    return Stage(root)


def _copy(step: Step, stage: Stage, sources: dict[str, Path]) -> None:
    """Carry out a COPY."""
    words = step.words
    source = sources[words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else "context"]
    *names, to = words
    target = stage.root / to.lstrip("/") if to.startswith("/") else stage.root / stage.workdir.lstrip("/") / to
    for name in names:
        path = source / name.lstrip("/")
        if path.is_dir():
            shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(path, target)


def _follow(step: Step, stage: Stage, sources: dict[str, Path]) -> None:
    """Carry out one step. One that only describes the image changes nothing."""
    match step.name:
        case "RUN":
            stage.run(step.text)
        case "COPY":
            _copy(step, stage, sources)
        case "ENV":
            for word in step.words:
                name, _, value = word.partition("=")
                stage.variables[name] = value.replace("$PATH", stage.variables["PATH"])
        case "WORKDIR":
            stage.workdir = step.text
            (stage.root / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = step.text
        case "VOLUME":
            stage.volumes += step.words
        case "ENTRYPOINT" | "CMD":
            stage.command += step.listed
        case _:
            assert step.name in {"EXPOSE", "HEALTHCHECK", "LABEL", "STOPSIGNAL"}, step


def _make_read_only(stage: Stage) -> None:
    """What `docker run --read-only --tmpfs /tmp` does. The folder of this checkout becomes empty."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", stage.root / ROOT.relative_to("/")], check=True)
    for path in stage.volumes:
        volume = stage.root / path.lstrip("/")
        owner = volume.stat()
        _mount("tmpfs", volume, "-o", f"uid={owner.st_uid},gid={owner.st_gid},mode={owner.st_mode & 0o777:o}")
    _mount("tmpfs", stage.root / "tmp", "-o", "mode=1777")
    subprocess.run(["mount", "-o", "remount,ro", stage.root], check=True)


def main(dockerfile: Path, source: Path, folder: Path, variables: list[str], command: list[str]) -> None:
    """Make the image, and become `command`, or the program that the image starts."""
    _mount("tmpfs", folder)
    sources, stage = {"context": source}, Stage(folder)
    for number, step in enumerate(parsed(dockerfile.read_text())):
        if step.name == "FROM":
            stage = _new_stage(folder / str(number))
            sources[step.words[-1]] = stage.root
        else:
            _follow(step, stage, sources)
    _make_read_only(stage)
    stage.variables |= dict(each.split("=", 1) for each in variables)
    entered = stage.enter(*(command or stage.command))
    os.execvp(entered[0], entered)


if __name__ == "__main__":
    _, dockerfile, source, folder, *given = sys.argv
    end = given.index("--")
    main(Path(dockerfile), Path(source), Path(folder), given[:end], given[end + 1 :])
