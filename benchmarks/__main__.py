"""`make bench`: measure this library and what it is compared with, and write RESULTS.md.

    python -m benchmarks [--scale quick] [--only upload-local …] [--contenders ours by_hand …] [--folder /var/tmp]

A work that is not measured keeps the numbers that it has.
"""

import argparse
import os
import time
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.results import Results
from benchmarks.run import Bench, publish
from benchmarks.scale import FULL, SCALES
from benchmarks.works import all_works
from tests.servers.environment import SCRUBBED

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    given = _parser().parse_args(arguments)
    for name in [each for each in os.environ if each.upper().startswith(SCRUBBED)]:
        del os.environ[name]  # nothing of the machine's own cloud configuration reaches a contender
    scale, started = SCALES[given.scale], time.monotonic()
    works = all_works(scale)
    output = given.output or (HERE if scale is FULL else HERE.parent / "build" / "benchmarks")
    results = Results(output / "results.json")
    bench = Bench(results, only=given.contenders, parent=given.folder, say=lambda line: _say(line, started))
    for work in works:
        if not given.only or work.name in given.only:
            bench.measure(work)
            publish(results, works, output)
    _say(f"{output.name}/RESULTS.md is written", started)


def _say(line: str, started: float) -> None:
    print(f"[{time.monotonic() - started:5.0f} s] {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--only", nargs="*", choices=[work.name for work in all_works(FULL)], metavar="WORK")
    parser.add_argument("--contenders", nargs="*", choices=CONTENDERS, default=(), metavar="NAME")
    parser.add_argument("--folder", help="where files and rows go meanwhile: a real disk with 20 GB of room")
    parser.add_argument("--output", type=Path, help="where RESULTS.md goes")
    return parser


if __name__ == "__main__":
    main()
