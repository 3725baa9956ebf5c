"""What the environment is made of is pinned, hashed, and says nothing of where it came from."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("run.txt", "dev.txt", "sqlalchemy-2.0.txt", "bench.txt")
PIN = re.compile(r"(?P<name>[a-z0-9.-]+)(\[[a-z0-9,-]+\])?==(?P<version>\S+)(?P<rest>.*)")


def requirements(name: str) -> list[str]:
    """Return the requirements of a lock file, each with its hashes on one line."""
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def versions(name: str) -> dict[str, str]:
    """Return the pinned version of each package of a lock file."""
    pins = [PIN.match(line) for line in requirements(name)]
    return {pin["name"]: pin["version"] for pin in pins if pin}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_with_a_hash(name: str) -> None:
    """Each line has one exact version and at least one SHA-256."""
    loose = [line for line in requirements(name) if not PIN.match(line) or "--hash=sha256:" not in line]

    assert loose == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_requirement_has_an_address(name: str) -> None:
    """Neither an index nor a link is in a lock file."""
    text = (ROOT / "requirements" / name).read_text()

    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text


def test_tests_run_on_what_users_run_on() -> None:
    """The development environment has every package of `make run` in the same version."""
    assert versions("run.txt").items() <= versions("dev.txt").items()


def test_both_lines_of_sqlalchemy_are_tested() -> None:
    """The environment has SQLAlchemy 2.1, and what is put before it is 2.0 and nothing else."""
    newest, other = versions("dev.txt"), versions("sqlalchemy-2.0.txt")

    assert newest["sqlalchemy"].startswith("2.1")
    assert other.keys() == {"sqlalchemy"}
    assert other["sqlalchemy"].startswith("2.0")


def test_the_lock_of_node_has_hashes_and_no_address() -> None:
    """Each package of npm's lock file has its integrity, and none says where it was downloaded."""
    packages = json.loads((ROOT / "tests" / "servers" / "node" / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert [name for name, package in installed.items() if "integrity" not in package] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []
