"""What the pictures of the tables show."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.charts import draw
from benchmarks.results import Results
from benchmarks.scale import FULL
from benchmarks.works import all_works

WORKS = {work.name: work for work in all_works(FULL)}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Small uploads of ours and of a route by hand, and a refusal."""
    results = Results(tmp_path / "results.json")
    for work in ("create-sqlite", "refusal"):
        results.begin(work, {})
    for case in ("1", "16"):
        results.add("create-sqlite", "ours", case, {"rate": 200.0})
        results.add("create-sqlite", "by_hand", case, {"rate": 400.0})
    results.add("refusal", "ours", "oversize", {"milliseconds": 5.0})
    return results


def elements(picture: str | None, name: str) -> list[ET.Element]:
    """Return the elements of a picture that have a name."""
    assert picture is not None
    return list(ET.fromstring(picture).iter(f"{SVG}{name}"))  # noqa: S314 - it is our own


def test_a_contender_that_is_half_as_fast_has_half_the_bar(results: Results) -> None:
    """Bars are as long as the contenders are fast; ours stand out."""
    bars = elements(draw(results, WORKS["create-sqlite"]), "rect")

    assert [(bar.get("class"), bar.get("width")) for bar in bars] == [("ours", "195.0"), (None, "390.0")] * 2


def test_a_picture_names_its_work_its_cases_and_its_contenders(results: Results) -> None:
    """Whoever sees the picture alone knows what it shows, and how much."""
    texts = [text.text for text in elements(draw(results, WORKS["create-sqlite"]), "text")]

    assert texts[0] == f"{WORKS['create-sqlite'].title}: per second"
    assert {"1 connection", "16 connections", "by hand: UploadFile, obstore put, INSERT", "400"} <= set(texts)


def test_a_picture_is_readable_on_dark_pages(results: Results) -> None:
    """Its colours follow the reader's."""
    assert "prefers-color-scheme:dark" in str(draw(results, WORKS["create-sqlite"]))


@pytest.mark.parametrize("name", ["refusal", "upload-local"])
def test_what_tells_no_speed_has_no_picture(name: str, results: Results) -> None:
    """Neither a table without rates, nor one that nobody measured."""
    assert draw(results, WORKS[name]) is None
