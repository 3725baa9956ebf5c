"""`make soak`: the whole load for a minute, or for as many seconds as the first argument says.

With `sync` for the second one, the workers' sessions block.
"""

import asyncio
import sys
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import Literal

from tests.servers.postgres import run_postgres
from tests.servers.seaweedfs import run_seaweedfs
from tests.soak.servers import place_on
from tests.soak.soak import Load, Result, Soak


def main(seconds: float = 60.0, sessions: Literal["async", "sync"] = "async") -> int:
    """Run the soak on servers of its own, print its numbers, and return the exit status."""
    load = Load(seconds=seconds, seed=SystemRandom().randrange(2**32))
    with ExitStack() as stack:
        postgres = stack.enter_context(run_postgres(fsync=True))
        place = place_on(postgres, stack.enter_context(run_seaweedfs()), blocking=sessions == "sync")
        folder = Path(stack.enter_context(TemporaryDirectory()))
        result = asyncio.run(Soak(place, load, folder).run())
    _say(load, result)
    return 1 if result.problems else 0


def _say(load: Load, result: Result) -> None:
    verdict = "the invariants are broken" if result.problems else "the invariants hold"
    lines = [str(load), *result.lines(), *(f"PROBLEM {problem}" for problem in result.problems), verdict]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0)
    parser.add_argument("sessions", nargs="?", choices=["async", "sync"], default="async")
    given = parser.parse_args()
    sys.exit(main(given.seconds, given.sessions))
