"""The workflows of .github say what they mean, and run what is there."""

import re
import shlex
import subprocess
import sys
from itertools import pairwise
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


def test_github_can_read_it(workflow: dict[Any, Any], request: pytest.FixtureRequest) -> None:
    """It keeps GitHub's own schema of workflows."""
    file = request.node.callspec.params["workflow"]
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", file)
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


def test_it_may_write_nothing_and_ends(workflow: dict[Any, Any]) -> None:
    """A job may read the repository and no more, but to prove to PyPI who it is, and does not run for hours."""
    assert workflow["permissions"] == {"contents": "read"}
    assert [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job] in (
        [],
        [{"id-token": "write"}],
    )
    assert all(job["timeout-minutes"] <= 30 for job in workflow["jobs"].values())


def test_each_step_does_one_thing(workflow: dict[Any, Any]) -> None:
    """A step runs a command or an action of a version, and not both."""
    steps = steps_of(workflow)

    assert all(("run" in step) is not ("uses" in step) for step in steps)
    assert all(re.fullmatch(r"[\w.-]+/[\w./-]+@v\d+", step["uses"]) for step in steps if "uses" in step)


def test_what_is_run_is_there(workflow: dict[Any, Any]) -> None:
    """The paths that pytest is given exist, and so does every extra that is installed and every target that is made."""
    words = [word for step in steps_of(workflow) for word in shlex.split(step.get("run", ""))]
    paths = [word.partition("=")[2] or word for word in words if "tests/" in word]
    extras = {name for word in words if (found := re.fullmatch(r"\.\[(.*)\]", word)) for name in found[1].split(",")}
    targets = {after for word, after in pairwise(words) if word == "make"}

    assert words
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
    assert all(f"\n{name} = [" in (ROOT / "pyproject.toml").read_text() for name in extras)
    assert [name for name in targets if f"\n{name}:" not in (ROOT / "Makefile").read_text()] == []


def test_windows_and_macos_are_both_tried() -> None:
    """Local folders are tested on the two platforms that the rest of the suite is not."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "platforms.yml").read_text())["jobs"].values()

    assert {os for job in jobs for os in job["strategy"]["matrix"]["os"]} == {"windows-latest", "macos-latest"}


def test_every_python_that_is_supported_is_tried() -> None:
    """Those that pyproject.toml promises are those that the tests run on."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())

    assert jobs["test"]["strategy"]["matrix"]["python"] == promised
