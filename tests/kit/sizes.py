"""Measures how large and how well documented the source is. `python -m tests.kit.sizes` prints a table."""

import ast
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

from msgspec import Struct

from tests.kit.paths import ROOT

SOURCE = ("app", "procedures", "schemas", "clients/python/src")
TESTS = ("tests",)
GENERATED = "app/store/install/migrations/versions/"
"""Migrations never change, and may be as long as they must, so they are not measured."""

_IGNORE = re.compile(r"#\s*(noqa|type:\s*ignore)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Sizes(Struct, frozen=True, kw_only=True):
    """The measures of the source."""

    files: int
    lines: int
    file_median: float
    file_max: int
    function_p90: float
    function_max: int
    tests_for_each_line: float
    documented_percent: float
    """The share of public modules, classes and functions that have a docstring."""
    ignores_in_1000_lines: float
    longest_file: str
    longest_function: str


def measured() -> Sizes:
    """Measure the files that git knows."""
    sources = {path: (ROOT / path).read_text() for path in _python(SOURCE)}
    lengths = {path: len(text.splitlines()) for path, text in sources.items()}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    functions = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }
    documented = [ast.get_docstring(node) is not None for tree in trees.values() for node in _public(tree)]
    lines = sum(lengths.values())
    return Sizes(
        files=len(sources),
        lines=lines,
        file_median=median(lengths.values()),
        file_max=max(lengths.values()),
        function_p90=quantiles(functions.values(), n=10)[-1],
        function_max=max(functions.values()),
        tests_for_each_line=sum(len((ROOT / path).read_text().splitlines()) for path in _python(TESTS)) / lines,
        documented_percent=100 * sum(documented) / len(documented),
        ignores_in_1000_lines=1000 * sum(len(_IGNORE.findall(text)) for text in sources.values()) / lines,
        longest_file=max(lengths, key=lengths.__getitem__),
        longest_function=max(functions, key=functions.__getitem__),
    )


def _python(folders: Sequence[str]) -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.splitlines():
        if path.endswith(".py") and not path.startswith(GENERATED) and Path(ROOT, path).exists():
            yield path


def _public(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | Function]:
    """The module, and its public classes, methods and functions. An overload has the docstring of what it overloads."""
    yield tree
    within: list[ast.Module | ast.ClassDef] = [tree]
    while within:
        for node in within.pop().body:
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                if not any(ast.unparse(each) in {"overload", "typing.overload"} for each in node.decorator_list):
                    yield node
                if isinstance(node, ast.ClassDef):
                    within.append(node)


def _table(sizes: Sizes) -> str:
    rows = {
        "files": sizes.files,
        "lines": sizes.lines,
        "lines of a file, median": f"{sizes.file_median:.0f}",
        "lines of a file, most": f"{sizes.file_max} ({sizes.longest_file})",
        "lines of a function, 90th percentile": f"{sizes.function_p90:.0f}",
        "lines of a function, most": f"{sizes.function_max} ({sizes.longest_function})",
        "lines of tests for each line": f"{sizes.tests_for_each_line:.2f}",
        "documented": f"{sizes.documented_percent:.1f} %",
        "ignores in 1,000 lines": f"{sizes.ignores_in_1000_lines:.1f}",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


if __name__ == "__main__":
    print(_table(measured()))  # noqa: T201
