"""Settings of file stores without an environment."""

from typing import Any

from fastapi_filestore import (
    BackendSettings,
)


def settings(**backends: BackendSettings) -> dict[str, Any]:
    """Return the arguments of settings with some backends."""
    return {"_env_file": None, "backends": backends}


def memory() -> BackendSettings:
    """Return the settings of a backend in memory."""
    return BackendSettings(url="memory://")


def nothing() -> None:
    """Stand in for a session dependency."""
