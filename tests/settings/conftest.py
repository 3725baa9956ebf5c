"""Settings are read in an empty folder, from an environment that a test fills itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_filestore.errors import SettingsError
from fastapi_filestore.settings import FilestoreSettings

Read = Callable[[dict[str, str]], FilestoreSettings]
Problems = Callable[[dict[str, str]], tuple[str, ...]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of each test, with no `.env` in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read settings from variables, given without FILESTORE_."""

    def read_settings(variables: dict[str, str]) -> FilestoreSettings:
        for name, value in variables.items():
            monkeypatch.setenv(f"FILESTORE_{name}", value)
        return FilestoreSettings()

    return read_settings


@pytest.fixture
def problems(read: Read) -> Problems:
    """Read settings that are wrong, and return the problems."""

    def read_problems(variables: dict[str, str]) -> tuple[str, ...]:
        with pytest.raises(SettingsError) as caught:
            read(variables)
        return caught.value.problems

    return read_problems
