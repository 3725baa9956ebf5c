"""The workflows of .github say what they mean, and run what is there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    """A workflow as GitHub reads it."""
    read: dict[Any, Any] = yaml.safe_load(request.param.read_text(encoding="utf-8"))
    return read


def steps_of(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    """Return the steps of all jobs."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_it_may_write_nothing_and_ends(workflow: dict[Any, Any]) -> None:
    """A job may read the repository and no more, and does not run for hours."""
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 30 for job in workflow["jobs"].values())


def test_each_step_does_one_thing(workflow: dict[Any, Any]) -> None:
    """A step runs a command or an action of a version, and not both."""
    steps = steps_of(workflow)

    assert all(("run" in step) is not ("uses" in step) for step in steps)
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@v\d+", step["uses"]) for step in steps if "uses" in step)


def test_what_is_tested_is_there(workflow: dict[Any, Any]) -> None:
    """The paths that pytest is given exist, and so does every extra that is installed."""
    words = [word for step in steps_of(workflow) for word in shlex.split(step.get("run", ""))]
    paths = [word.partition("=")[2] or word for word in words if "tests/" in word]
    extras = {name for word in words if (found := re.fullmatch(r"\.\[(.*)\]", word)) for name in found[1].split(",")}

    assert paths
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
    assert all(f"\n{name} = [" in (ROOT / "pyproject.toml").read_text() for name in extras)


def test_windows_and_macos_are_both_tried() -> None:
    """Local folders are tested on the two platforms that the rest of the suite is not."""
    matrices = [job["strategy"]["matrix"] for job in yaml.safe_load(WORKFLOWS[0].read_text())["jobs"].values()]

    assert {os for matrix in matrices for os in matrix["os"]} == {"windows-latest", "macos-latest"}
