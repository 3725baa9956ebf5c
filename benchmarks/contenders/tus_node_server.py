"""The server of tus that the authors of the protocol publish, with its store of files: no rows, no sync, no digest.

python -m benchmarks.contenders.tus_node_server PORT
"""

import os
import sys
from pathlib import Path

from benchmarks.contenders.application import PLACE
from benchmarks.wire import LOOPBACK
from tests.servers.azurite import find_node

PROGRAM = Path(__file__).parents[2] / "tests" / "servers" / "node" / "tus.mjs"

if __name__ == "__main__":
    node = str(find_node())
    os.execv(node, [node, str(PROGRAM), str(PLACE.folder), LOOPBACK, sys.argv[1], str(PLACE.limit)])  # noqa: S606
