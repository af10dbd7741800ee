"""A page in a real browser, as a person sees and uses it."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.spot import Spot
from tests.kit.packages import install_packages

DRIVER = Path(__file__).parent / "node"


class Page:
    """The only open page of a browser. Fields and buttons are found by their accessible names."""

    def __init__(self, driver: "subprocess.Popen[str]") -> None:
        self._driver = driver

    def open(
        self, url: str, *, refused_once: Sequence[str] = (), unanswered_once: Sequence[str] = (), **options: object
    ) -> None:
        """Open a URL in a browser without any state. `options` are those of Playwright's `newPage`.

        The option `session` is what the `sessionStorage` of the page contains from the beginning.
        For each of the patterns, the first request is answered with 503, or reaches the server and loses its answer.
        """
        self._do("open", url, list(refused_once), list(unanswered_once), options)

    @property
    def whole(self) -> Spot:
        """Where to look for parts of it."""
        return Spot(self._do)

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        self._do("keyboard", "press", key)

    def mouse(self, action: str, *arguments: object) -> None:
        """Move the mouse, press and release its button."""
        self._do("mouse", action, *arguments)

    def goto(self, url: str) -> None:
        """Go to another address, in the same browser."""
        self._do("goto", url)

    def reload(self) -> None:
        self._do("reload")

    def back(self) -> None:
        self._do("back")

    def offline(self, *, is_offline: bool) -> None:
        """Cut the browser off the network, or connect it again."""
        self._do("offline", is_offline)

    def violations(self, *, of_colours: bool = False) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA: by all rules, or only by those that depend on colours."""
        return list(self._do("violations", of_colours))

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

    def warnings(self) -> list[str]:
        """The warnings on the console since the page was opened."""
        return list(self._do("warnings"))

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page."""
        return self._do("evaluate", expression)

    def show(self, *, width: int = 800, height: int = 720, scheme: str = "light") -> None:
        """Show the page in this size and in the light or the dark scheme."""
        self._do("show", {"width": width, "height": height, "colorScheme": scheme})

    def screenshot(self, path: Path, *, width: int = 800, height: int = 720, scheme: str = "light") -> None:
        """Write a screenshot as a PNG."""
        self.show(width=width, height=height, scheme=scheme)
        self.picture(path)

    def picture(self, path: Path) -> None:
        """Write a PNG of the page as it is shown."""
        self._do("picture", str(path))

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


@contextmanager
def driving(chromium: str) -> Iterator[Page]:
    """Start the browser at this path, whose page the block drives, and end it with the block."""
    install_packages(DRIVER)
    driver = subprocess.Popen(
        ["node", "driver.mjs", chromium], cwd=DRIVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with driver:
        try:
            yield Page(driver)
        finally:
            driver.communicate(timeout=30)
