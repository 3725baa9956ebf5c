"""Settings of applications that sweep."""

from pathlib import Path
from typing import Any

from fastapi_filestore import FilestoreSettings


def settings(folder: Path, **values: Any) -> FilestoreSettings:
    """Return settings whose only backend is `shelf`."""
    backends = {"shelf": {"url": f"file://{folder}/shelf"}}
    return FilestoreSettings(_env_file=None, backends=backends, **values)
