"""The built files are those of the sources, and the sources are typed against this server's contract."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from app.server.contracts import typescript_contract
from app.settings import Settings
from app.surfaces.console.door import STATIC
from tests.kit.packages import compile_typescript, install_packages, run
from tests.kit.paths import ROOT

CONSOLE = ROOT / "console"

SHOWN = {
    "plain": ("Call John, 10 €, naïve, 日本語, שלום", "Call John, 10 €, naïve, 日本語, שלום"),
    "right to left": ("user\u202egpj.exe", "user⟨U+202E⟩gpj.exe"),
    "isolates": ("\u2066a\u2069\u200f", "⟨U+2066⟩a⟨U+2069⟩⟨U+200F⟩"),
    "zero width": ("pay\u200bpal\ufeff\u2060", "pay⟨U+200B⟩pal⟨U+FEFF⟩⟨U+2060⟩"),
    "blank": ("a\u00a0b\u3164\u2800\u115f", "a⟨U+00A0⟩b⟨U+3164⟩⟨U+2800⟩⟨U+115F⟩"),
    "tags": ("hi\U000e0041\U000e007f", "hi⟨U+E0041⟩⟨U+E007F⟩"),
    "variations": ("a\ufe0fb\U000e0101", "a⟨U+FE0F⟩b⟨U+E0101⟩"),
    "controls": ("a\x00\x1b[31m\x7f\x9b\n\t", "a⟨U+0000⟩⟨U+001B⟩[31m⟨U+007F⟩⟨U+009B⟩⟨U+000A⟩⟨U+0009⟩"),
    "separators": ("a\u2028b\u2029", "a⟨U+2028⟩b⟨U+2029⟩"),
    "half a pair": ("\ud800x", "⟨U+D800⟩x"),
    "emoji": ("👩\u200d🚀 ❤\ufe0f 👍🏽", "👩\u200d🚀 ❤\ufe0f 👍🏽"),
    "a joiner alone": ("👍 \u200d", "👍 ⟨U+200D⟩"),
    "markup": ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
}


@pytest.fixture(scope="module")
def sources(node: Path) -> Path:  # noqa: ARG001 # without node nothing can be built
    """The folder of the sources, with their packages and the contract."""
    install_packages(CONSOLE)
    (CONSOLE / "src" / "contract.ts").write_text(typescript_contract(Settings()).module)
    return CONSOLE


def test_the_committed_files_are_what_the_sources_make(sources: Path, tmp_path: Path) -> None:
    run(sources, "node", "build.mjs", tmp_path)

    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_bytes() for path in STATIC.iterdir()}, (
        "run make console, and commit the files"
    )


def test_the_sources_are_typed(sources: Path) -> None:
    compile_typescript(sources)


@pytest.mark.parametrize("pattern", ["dangerouslySetInnerHTML", "innerHTML", "eval(", "style=", "javascript:"])
def test_no_source_makes_markup_or_style_of_data(pattern: str) -> None:
    using = [path.name for path in (CONSOLE / "src").rglob("*.ts*") if pattern in path.read_text()]

    assert using == []


def test_characters_that_hide_are_shown(sources: Path, tmp_path: Path) -> None:
    esbuild = sources / "node_modules" / ".bin" / "esbuild"
    run(sources, esbuild, "src/visible.ts", "--format=esm", f"--outfile={tmp_path}/visible.mjs")
    script = f"""
        import {{ visible }} from '{tmp_path}/visible.mjs'
        console.log(JSON.stringify(JSON.parse(process.argv[1]).map(visible)))
    """
    given = json.dumps([given for given, _ in SHOWN.values()])
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", script, given], capture_output=True, text=True, timeout=60, check=True
    )

    assert dict(zip(SHOWN, json.loads(ran.stdout), strict=True)) == {name: shown for name, (_, shown) in SHOWN.items()}


def test_one_stylesheet_alone_lays_out_a_class() -> None:
    folder = CONSOLE / "src" / "style"
    rules = [
        set(re.findall(r"(?<!,\n)^(\.[\w-]+) \{", path.read_text(), re.MULTILINE)) for path in folder.glob("*.css")
    ]

    assert [name for name, files in Counter(name for each in rules for name in each).items() if files > 1] == []
