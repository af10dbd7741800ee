"""Bundles pages of `node/pages`, as a frontend's build does."""

from pathlib import Path

from tests.browser.page import DRIVER
from tests.kit.packages import install_client, install_packages, run


def bundle(name: str, folder: Path) -> None:
    """Write the page `name` into `folder`: `index.html`, `<name>.js`, and what the script loads (`chunk-*.js`)."""
    install_client(DRIVER)
    bundle_script(DRIVER, f"pages/{name}.ts", folder)


def bundle_script(project: Path, script: str, folder: Path) -> None:
    """Write the page of a script of `project`, whose packages are those of the project."""
    install_packages(DRIVER)
    esbuild = DRIVER / "node_modules" / ".bin" / "esbuild"
    options = ("--bundle", "--minify", "--format=esm", "--splitting", "--target=es2022", f"--outdir={folder}")
    run(project, esbuild, script, *options)
    name = Path(script).stem
    (folder / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{name}</title><link rel="icon" href="data:,">'
        f'<body><script type="module" src="{name}.js"></script>'
    )
