"""A page in a real browser, as a person sees and uses it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Page:
    """The only open page of a browser. Fields and buttons are found by their accessible names."""

    def __init__(self, driver: "subprocess.Popen[str]") -> None:
        self._driver = driver

    def open(self, url: str, *, refused_once: Sequence[str] = (), unanswered_once: Sequence[str] = ()) -> None:
        """Open a URL in a browser without any state.

        For each of the patterns, the first request is answered with 503, or reaches the server and loses its answer.
        """
        self._do("open", url, list(refused_once), list(unanswered_once))

    def fill(self, label: str, text: str) -> None:
        self._do("fill", label, text)

    def click(self, button: str) -> None:
        self._do("click", button)

    def enabled(self, button: str) -> bool:
        return self._do("enabled", button) is True

    def value(self, label: str) -> str:
        """The value of a field."""
        return str(self._do("value", label))

    @property
    def url(self) -> str:
        return str(self._do("url"))

    @property
    def state(self) -> str:
        """The state of the connection, as the page shows it."""
        return str(self._do("state"))

    @property
    def alert(self) -> str:
        """The error that the page shows."""
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
        """The addresses of all requests since the page was opened."""
        return list(self._do("asked"))

    def problems(self) -> list[str]:
        """The errors on the console and the uncaught exceptions since the last call."""
        return list(self._do("problems"))

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page."""
        return self._do("evaluate", expression)

    def screenshot(self, path: Path, *, width: int = 800, height: int = 720, scheme: str = "light") -> None:
        """Write a screenshot as a PNG."""
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
