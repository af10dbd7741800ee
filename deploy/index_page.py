"""What an index of packages shows of README: the same text, with links that work there.

The build of the wheel and of the sdist calls it (`tool.hatch.metadata.hooks` in `pyproject.toml`). The page of an index
has no files beside it, so a link to a file must lead to the repository. `project.urls` names that as `Source`. While
it names none, the words of a link stay without the link, and pictures are left out.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]\n]*)\]\((?![a-z]+:)([^)\s]+)\)")
"""A picture or a link whose target is a file or a heading of the repository."""


class IndexPage(MetadataHookInterface):
    """Gives the package its long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, which `pyproject.toml` declares as dynamic."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = index_page(readme, metadata.get("urls", {}).get("Source"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def index_page(readme: str, source: str | None) -> str:
    """`readme` for a page that has no files beside it. `source` is the address of the repository."""

    def replaced(link: re.Match[str]) -> str:
        picture, words, path = link.groups()
        if not source:
            return "" if picture else words
        file = f"README.md{path}" if path.startswith("#") else path
        return f"{picture}[{words}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/HEAD/{file})"

    return LINK.sub(replaced, readme)
