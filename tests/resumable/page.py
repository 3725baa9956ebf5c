"""The code on the page, and its scripts put together for a browser."""

import re
import subprocess
from pathlib import Path

from tests.project.page_programs import blocks
from tests.servers.azurite import find_node
from tests.servers.process import unavailable

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "servers" / "node"
PAGE = (ROOT / "docs" / "resumable-uploads.md").read_text(encoding="utf-8")
BUNDLE = """
const [folder, ...entryPoints] = process.argv.slice(1);
require("esbuild").buildSync({
  entryPoints, outdir: folder, bundle: true, format: "esm",
  nodePaths: ["node_modules"], logLevel: "warning",
});
"""
HTML = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<link rel="stylesheet" href="{name}.css">
<body>{body}<script type="module" src="{name}.js"></script></body>
"""
BODIES = {"uppy": "", "pond": "", "page": re.findall(r"// page\.js, for (<.*>)", PAGE)[0]}
"""What the pages have beside their scripts, by their names."""

ALONE = "{ endpoint: `${location.origin}/documents/uploads` }); // parallelUploads: 4"
PARALLEL = '{ endpoint: "/documents/uploads", parallelUploads: 4 }); //'


def named_blocks() -> dict[str, str]:
    """Return the blocks that begin with the name of their file, by that name."""
    return dict(re.findall(r"```\w+\n(?://|#) ([\w.]+)[^\n]*\n(.*?)```", PAGE, re.DOTALL))


def application() -> str:
    """Return the README's application, for films, with the page's words in place of the README's router."""
    beginning, line, _ = blocks("README.md")[0].rpartition("app.include_router(files.router(Document)")
    assert line
    routes, origins, _ = blocks("docs/resumable-uploads.md")
    return beginning.replace("StoredObject()", 'StoredObject(content_types=["video/*"])') + routes + origins


def write_pages(folder: Path) -> None:
    """Write the pages for a browser, and one on which Uppy sends parts at once, to a mere path."""
    if not (NODE / "node_modules" / "esbuild").is_dir():
        unavailable("The clients are missing: `make test` installs them, or `npm ci` in tests/servers/node.")
    scripts = {**named_blocks(), "parallel.js": named_blocks()["uppy.js"].replace(ALONE, PARALLEL)}
    sources = folder / "sources"
    sources.mkdir(parents=True)
    for name, code in scripts.items():
        (sources / name).write_text(code, encoding="utf-8")
    pages = {**BODIES, "parallel": BODIES["uppy"]}
    command = (find_node(), "-e", BUNDLE, "--", folder, *(sources / f"{name}.js" for name in pages))
    subprocess.run([str(part) for part in command], cwd=NODE, check=True)
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(HTML.format(name=name, body=body), encoding="utf-8")
