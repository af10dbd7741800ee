"""A page in a real browser, as a person sees and uses it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Page:
    """The one open page of a browser. Fields and buttons go by their accessible names."""

    def __init__(self, driver: "subprocess.Popen[str]") -> None:
        self._driver = driver

    def open(self, url: str, *, refused_once: Sequence[str] = (), unanswered_once: Sequence[str] = ()) -> None:
        """Open it in a browser that knows nothing yet.

        The first request for each of the patterns is answered 503, or reaches the server and has its answer lost.
        """
        self._do("open", url, list(refused_once), list(unanswered_once))

    def fill(self, label: str, text: str) -> None:
        self._do("fill", label, text)

    def click(self, button: str) -> None:
        self._do("click", button)

    def enabled(self, button: str) -> bool:
        return self._do("enabled", button) is True

    def value(self, label: str) -> str:
        """What a field holds."""
        return str(self._do("value", label))

    @property
    def url(self) -> str:
        return str(self._do("url"))

    @property
    def state(self) -> str:
        """What it says of its connection."""
        return str(self._do("state"))

    @property
    def alert(self) -> str:
        """What it says went wrong."""
        return str(self._do("alert"))

    @property
    def notes(self) -> list[str]:
        """The texts of the listed notes, in order."""
        return list(self._do("notes"))

    def text(self, selector: str) -> list[str]:
        """The texts of all elements that a CSS selector finds."""
        return list(self._do("text", selector))

    @property
    def asked(self) -> list[str]:
        """The addresses of all requests since it was opened."""
        return list(self._do("asked"))

    def problems(self) -> list[str]:
        """The errors on its console and the exceptions nobody caught, since this was last asked."""
        return list(self._do("problems"))

    def evaluate(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        return self._do("evaluate", expression)

    def screenshot(self, path: Path, *, width: int = 800, height: int = 720, scheme: str = "light") -> None:
        """Write what it looks like as a PNG."""
        self._do("screenshot", str(path), {"width": width, "height": height, "colorScheme": scheme})

    def _do(self, command: str, *arguments: object) -> Any:
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._driver.stdin.flush()
        line = self._driver.stdout.readline()
        assert line, f"the browser's driver ended: {self._driver.wait(timeout=30)}"
        answer = json.loads(line)
        assert "error" not in answer, f"{command}: {answer['error']}"
        return answer.get("value")
