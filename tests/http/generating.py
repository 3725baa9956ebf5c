"""Generators of clients, run as programs on an OpenAPI document."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers.azurite import find_node
from tests.servers.process import unavailable

NODE_MODULES = Path(__file__).parents[1] / "servers" / "node" / "node_modules"
GENERATORS = {
    "openapi-python-client": "openapi-python-client generate --path openapi.json --meta none --output-path python",
    "openapi-typescript": "openapi-typescript openapi.json --output schema.ts",
    "hey-api": "openapi-ts --input openapi.json --output functions --no-log-file",
}
STRICT = {
    "compilerOptions": {
        "strict": True, "noEmit": True, "target": "es2022", "module": "esnext", "moduleResolution": "bundler",
        "lib": ["es2022", "dom", "dom.iterable"], "types": ["node"], "skipLibCheck": True,
    },
    "include": ["**/*.ts"],
    "exclude": ["node_modules"],
}  # fmt: skip


def run(command: str, folder: Path, **environment: str) -> str:
    """Run a command line with the generators on the path, and return what it prints, errors included."""
    if not (NODE_MODULES / "openapi-typescript").is_dir():
        unavailable("The generators are missing: `make test` installs them, or `npm ci` in tests/servers/node.")
    programs = [Path(sys.executable).parent, NODE_MODULES / ".bin", find_node().parent]
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def warnings_of(output: str) -> list[str]:
    """Return the lines of a generator in which it warns of something."""
    return re.findall(r".*\b(?:warnings?|errors?|omitted|unable|skipping|duplicate)\b.*|.*⚠.*", output, re.IGNORECASE)


def generate(generator: str, document: dict[str, Any], folder: Path) -> list[str]:
    """Generate the client of a document below a folder, and return what the generator warns of."""
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    return warnings_of(run(GENERATORS[generator], folder))


def complaints_of_typescript(folder: Path) -> str:
    """Return what the compiler, being strict, has to say of all that is in a folder; nothing if it is content."""
    (folder / "tsconfig.json").write_text(json.dumps(STRICT), encoding="utf-8")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    return run("tsc --project . || true", folder)
