"""Bundles pages of `node/pages`, as a frontend's build does."""

from pathlib import Path

from tests.browser.conftest import DRIVER
from tests.kit.packages import install_client, run


def bundle(name: str, folder: Path) -> None:
    """Write the page `name` into `folder`: `index.html`, `<name>.js`, and what the script loads (`chunk-*.js`)."""
    install_client(DRIVER)
    esbuild = DRIVER / "node_modules" / ".bin" / "esbuild"
    options = ("--bundle", "--minify", "--format=esm", "--splitting", "--target=es2022", f"--outdir={folder}")
    run(DRIVER, esbuild, f"pages/{name}.ts", *options)
    (folder / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{name}</title><link rel="icon" href="data:,">'
        f'<script type="module" src="{name}.js"></script>'
    )
