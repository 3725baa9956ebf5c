"""What the report says of numbers."""

from pathlib import Path

import pytest

from benchmarks.report import render
from benchmarks.results import Results
from benchmarks.scale import FULL
from benchmarks.targets import Target, targets
from benchmarks.works import all_works

FACTS = {"date": "2026-11-23", "machine": "2 cores", "versions": "Python 3.11", "rounds": "3"}
TIMES = "\N{MULTIPLICATION SIGN}"
WORKS = {work.name for work in all_works(FULL)}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Uploads of ours and of three others, two rounds each."""
    results = Results(tmp_path / "results.json")
    results.begin("upload-local", FACTS)
    for name, speeds, early in (
        ("discard", (600.0, 620.0), 0.0),
        ("ours", (400.0, 420.0), 0.0),
        ("filestore", (200.0, 210.0), 0.0),
        ("advanced_alchemy", (500.0, 500.0), 1.0),
    ):
        for speed in speeds:
            results.add("upload-local", name, "", {"speed": speed, "early": early, "memory": 20.0})
    return results


def target(text: str) -> Target:
    """Return the target with this text."""
    return next(each for each in targets() if text in each.text)


def test_numbers_are_medians(results: Results) -> None:
    """Two rounds give the value between them."""
    assert results.median("upload-local", "ours", "speed") == 410.0
    assert results.median("upload-local", "ours", "rate") is None


def test_a_target_is_missed_or_reached(results: Results) -> None:
    """410 of 610 MiB/s is less than 0.72; 20 MiB are less than 24."""
    assert target("the discarding server").verdict(results) == (f"0.67 {TIMES}", "**miss**")
    assert target("memory over idle ≤ 24").verdict(results) == ("20 MiB", "pass")


def test_the_fastest_rival_has_stored_before_it_answers(results: Results) -> None:
    """One that answers before the bytes are stored is no rival, however fast."""
    assert target("the fastest rival").verdict(results) == (f"2.00 {TIMES}", "pass")


def test_a_target_without_numbers_says_so(results: Results) -> None:
    """What was not measured is neither reached nor missed."""
    assert target("FileResponse").verdict(results) == ("", "not measured")


def test_who_answers_too_early_is_marked(results: Results) -> None:
    """The table warns of a contender that answered before it had stored."""
    lines = render(results, all_works(FULL)).splitlines()
    row = next(line for line in lines if line.startswith("| advanced-alchemy"))

    assert "⚠" in row
    assert row.endswith("| 0.82 |")


def test_a_table_says_when_and_on_which_commit_it_was_measured(results: Results) -> None:
    """Numbers are of a state of the code; those of whom nobody noted it say so."""
    before = render(results, all_works(FULL))
    results.works["upload-local"]["commit"] = "1234567"
    after = render(results, all_works(FULL))

    assert "2026-11-23, on a commit that was not noted, medians of 3" in before
    assert "2026-11-23, on 1234567, medians of 3" in after


def test_a_table_of_speeds_has_its_picture(results: Results) -> None:
    """The report links what `make bench` draws beside it."""
    assert "](charts/upload-local.svg)" in render(results, all_works(FULL))


def test_results_are_kept(results: Results, tmp_path: Path) -> None:
    """What is saved is read again."""
    results.save()

    again = Results(tmp_path / "results.json")

    assert again.values("upload-local", "ours", "speed") == [400.0, 420.0]
    assert again.works == {"upload-local": FACTS}


def test_a_contender_that_failed_is_named(results: Results) -> None:
    """A failure is part of the result."""
    results.works["upload-local"]["failed filestore"] = "TimeoutError"

    assert "filestore, INSERT by hand failed: TimeoutError" in render(results, all_works(FULL))


def test_every_target_belongs_to_a_work() -> None:
    """No target names a work that nobody measures."""
    assert {each.work for each in targets()} <= WORKS
