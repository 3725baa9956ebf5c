"""Try the cases with a server that runs: `python -m tests.tus http://127.0.0.1:1080/files/`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

import httpx
import pytest

from tests.tus.summary import Command
from tests.tus.target import Running, Target


def main() -> int:
    """Ask the server what it announces, try the cases of that, and print a table."""
    parser = ArgumentParser(prog="python -m tests.tus", description=__doc__)
    parser.add_argument("url", help="where uploads begin")
    parser.add_argument("-H", "--header", action="append", default=[], help="what every request needs: 'Name: value'")
    parser.add_argument("--get", action="store_true", help="a GET of an upload's URL returns its bytes")
    parser.add_argument("-k", default="", help="only cases whose names hold this, as pytest's -k")
    options = parser.parse_args()
    pairs = [header.partition(":")[::2] for header in options.header]
    headers = {name.strip(): value.strip() for name, value in pairs}

    def content(url: str) -> bytes:
        return httpx.get(url, headers=headers).raise_for_status().content

    server = Running(options.url, headers, content if options.get else None)
    try:
        target = Target(options.url, "given_server", server.announced())
    except (httpx.HTTPError, ValueError) as error:
        sys.exit(f"No server of tus 1.0: {error}")
    folder = Path(__file__).parent
    # Nothing of the project's other tests is wanted: neither its servers nor its imports.
    arguments = [
        str(folder),
        f"--confcutdir={folder}",
        "-p",
        "tests.tus.summary",
        "-q",
        "-rN",
        "--tb=short",
        "-k",
        options.k,
    ]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the client of HTTP was imported before
    return int(pytest.main(arguments, plugins=[Command(server, target)]))


if __name__ == "__main__":
    sys.exit(main())
