"""Parts of a page, found as a person finds them: by role and name, by label, by text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Do = Callable[..., Any]


class Spot:
    """A place on a page. It is looked for anew with each act, for up to ten seconds."""

    def __init__(self, do: Do, steps: tuple[list[Any], ...] = ()) -> None:
        self._do = do
        self._steps = steps

    def role(self, role: str, name: str | None = None, *, exact: bool = False, **options: object) -> "Spot":
        """What has this role, and a name that contains `name`; with `exact` one that equals it."""
        named = {} if name is None else {"name": name, "exact": exact}
        return self._then("getByRole", role, {**named, **options})

    def label(self, label: str) -> "Spot":
        return self._then("getByLabel", label, {"exact": True})

    def text(self, text: str, *, exact: bool = False) -> "Spot":
        return self._then("getByText", text, {"exact": exact})

    def css(self, selector: str) -> "Spot":
        """What a CSS selector finds, where a page of others has no better name."""
        return self._then("locator", selector)

    def nth(self, place: int) -> "Spot":
        return self._then("nth", place)

    def click(self, **options: object) -> None:
        self._act("click", options)

    def fill(self, text: str) -> None:
        self._act("fill", text)

    def select(self, value: str) -> None:
        self._act("selectOption", value)

    def choose(self, path: Path) -> None:
        """Choose a file, in a field for files."""
        self._act("setInputFiles", str(path))

    def press(self, key: str) -> None:
        self._act("press", key)

    def focus(self) -> None:
        self._act("focus")

    def wait(self, state: str = "visible", **options: object) -> None:
        """Until it is there; with `hidden` until it is not."""
        self._act("waitFor", {"state": state, **options})

    def count(self) -> int:
        return int(self._act("count"))

    def content(self) -> str:
        """Its text, as it looks."""
        return str(self._act("innerText"))

    def contents(self) -> list[str]:
        """The texts of all that are found."""
        return list(self._act("allInnerTexts"))

    def value(self) -> str:
        """What a field holds."""
        return str(self._act("inputValue"))

    def attribute(self, name: str) -> str | None:
        found = self._act("getAttribute", name)
        return None if found is None else str(found)

    def box(self) -> dict[str, float]:
        """Where it is: `x`, `y`, `width`, `height`."""
        return dict(self._act("boundingBox"))

    def download(self) -> dict[str, str]:
        """Click it, and answer the `name` and the `text` of the file that it makes."""
        return dict(self._do("download", self._steps))

    def _then(self, *step: object) -> "Spot":
        return Spot(self._do, (*self._steps, list(step)))

    def _act(self, action: str, *arguments: object) -> Any:
        return self._do("act", self._steps, action, *arguments)
