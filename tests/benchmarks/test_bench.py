"""`make bench` runs, on sizes that take no time: what it measures is nobody's business here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.scale import TINY
from benchmarks.works import all_works

ROOT = Path(__file__).parents[2]
MEASURED: dict[str, list[str]] = {
    "refusal": [],
    "uploads-s3": [],
    "download-s3": [],
    "ranges-local": ["by_hand"],
    "read-sqlite": ["by_hand"],
    "not-modified": ["by_hand"],
    "read-signed": ["file_response"],
    "upload-local": ["hash_and_write"],
    "create-sqlite": [],
    "durable-local": ["ours_not_durable"],
    "resumed-local": ["tus_node_server"],
    "direct-s3": ["boto3_url"],
    "beside": [],
}
"""A work of each kind, one with another contender, which needs nothing beside what the tests need."""
WORKS = {work.name: work for work in all_works(TINY)}


def bench(output: Path, work: str, *contenders: str) -> str:
    """Measure one work, and return the RESULTS.md that was written."""
    command = ("--scale", "tiny", "--only", work, "--contenders", *contenders, "--output", str(output))
    subprocess.run([sys.executable, "-m", "benchmarks", *command], cwd=ROOT, check=True)
    return (output / "RESULTS.md").read_text()


@pytest.mark.parametrize("name", MEASURED)
def test_a_work_is_measured(name: str, tmp_path: Path) -> None:
    """Ours, and in some works another contender, get a row each in the table of the work, with every metric."""
    ours = WORKS[name].ours
    contenders = [ours, *MEASURED[name]]

    report = bench(tmp_path, name, *contenders)

    kept = json.loads((tmp_path / "results.json").read_text())
    assert f"## {WORKS[name].title}" in report
    assert all(CONTENDERS[each].title in report for each in contenders)
    assert "failed" not in report
    assert kept["values"][name].keys() == set(contenders)
    assert all(set(WORKS[name].columns) <= set(case) for case in kept["values"][name][ours].values())


def test_a_work_that_is_not_measured_keeps_its_numbers(tmp_path: Path) -> None:
    """Measuring one work again leaves the table of the others in the report."""
    before = bench(tmp_path, "refusal", "ours")
    after = bench(tmp_path, "upload-local", "ours")

    table = before[before.index(f"## {WORKS['refusal'].title}") :]
    assert table in after
    assert WORKS["upload-local"].title in after


def test_every_contender_is_measured_somewhere() -> None:
    """No contender is forgotten, and no work names one that does not exist."""
    named = {name for work in WORKS.values() for name in work.contenders}

    assert named == set(CONTENDERS)
    assert all((ROOT / "benchmarks" / "contenders" / f"{name}.py").exists() for name in named)
