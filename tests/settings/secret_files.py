"""A folder of secret files."""

from pathlib import Path

import pytest


@pytest.fixture
def secrets(folder: Path) -> Path:
    """A folder of secret files, as Docker and Kubernetes mount one."""
    path = folder / "secrets"
    path.mkdir()
    return path
