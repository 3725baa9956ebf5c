"""Cut the power many times. `make power-cuts` runs this.

python -m tests.power.cuts CUTS
"""

import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.power.planted import PLANTED
from tests.power.plays import MOST_SCRIPTS, PLAYS


def main(least: int) -> None:
    """Try at least so many cuts, half of them in each kind of script, and say what came of them."""
    for kind in PLAYS:
        cuts, scripts = 0, 0
        for seed in count():
            if cuts >= least / len(PLAYS):
                break
            judgement = _play(kind, seed)
            cuts, scripts = cuts + judgement[0], scripts + 1
            if judgement[1]:
                sys.exit(f"{kind}, seed {seed}: {judgement[1][0]}")
        sys.stdout.write(f"{kind}: {cuts:,} power cuts in {scripts} scripts, no promise broken\n")
    for fault in PLANTED:
        sys.stdout.write(f"planted: {fault}: {_find(fault)}\n")


def _find(fault: str) -> str:
    for seed in range(MOST_SCRIPTS):
        for kind in PLAYS:
            with pytest.MonkeyPatch.context() as monkeypatch:
                PLANTED[fault](monkeypatch)
                problems = _play(kind, seed)[1]
            if problems:
                return f"found by {kind}, script {seed + 1}: {problems[0]}"
    sys.exit(f"planted: {fault}: not found in {MOST_SCRIPTS} scripts")


def _play(kind: str, seed: int) -> tuple[int, list[str]]:
    with TemporaryDirectory() as folder:
        judgement = PLAYS[kind](seed, Path(folder))
    return judgement.cuts, judgement.problems


if __name__ == "__main__":
    main(int(sys.argv[1]))
