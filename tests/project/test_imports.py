"""Which module may import which: the contracts hold, and a planted violation breaks the one that forbids it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

VIOLATIONS = [
    pytest.param("errors/rows.py", "import fastapi_filestore.settings", "Imports go down", id="up"),
    pytest.param("surprise.py", "", "Imports go down", id="new-floor"),
    pytest.param("storage/content.py", "import fastapi_filestore.storage.registry", "Within storage", id="storage-up"),
    pytest.param("storage/local/folder.py", "import fastapi_filestore.storage.obstore", "Within storage", id="driver"),
    pytest.param("orm/column/planted.py", "import fastapi_filestore.orm.unit_of_work", "Within orm", id="column"),
    pytest.param("orm/ledger/planted.py", "import fastapi_filestore.orm.triggers", "Within orm", id="ledger"),
    pytest.param("web/serving/planted.py", "import fastapi_filestore.web.routes", "Within web", id="serving"),
    pytest.param("service/audit/planted.py", "import fastapi_filestore.service.sweep", "Within service", id="audit"),
    pytest.param("intake/types/planted.py", "import fastapi_filestore.intake.forms", "Within intake", id="types"),
    pytest.param("web/surprise.py", "", "Within web", id="new-in-a-room"),
    pytest.param("orm/column/planted.py", "import fastapi", "FastAPI and Starlette only", id="fastapi"),
    pytest.param("service/audit/planted.py", "import starlette.requests", "FastAPI and Starlette only", id="starlette"),
    pytest.param("intake/forms/planted.py", "import sqlalchemy.orm", "SQLAlchemy only", id="sqlalchemy"),
    pytest.param("storage/registry.py", "import obstore.store", "obstore only", id="obstore"),
    pytest.param("web/routes/planted.py", "import python_multipart", "python-multipart only", id="python-multipart"),
    pytest.param("web/routes/planted.py", "import filetype", "filetype only", id="filetype"),
    pytest.param("storage/paths.py", "import pydantic_settings", "pydantic-settings only", id="pydantic-settings"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package with its contracts, to be broken."""
    shutil.copytree(ROOT / "fastapi_filestore", tmp_path / "fastapi_filestore")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the package in a folder."""
    command: list[str | Path] = [LINT_IMPORTS, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_package_keeps_its_contracts(copy: Path) -> None:
    """Not one import of the package breaks a contract."""
    checked = lint_imports(copy)

    assert checked.returncode == 0, checked.stdout
    assert "0 broken" in checked.stdout


@pytest.mark.parametrize(("path", "line", "contract"), VIOLATIONS)
def test_a_planted_violation_is_found(copy: Path, path: str, line: str, contract: str) -> None:
    """A forbidden import in any room breaks the contract that forbids it."""
    planted = copy / "fastapi_filestore" / path
    before = planted.read_text() if planted.exists() else ""
    planted.write_text(f"{before}\n{line}\n")

    checked = lint_imports(copy)

    assert checked.returncode == 1
    assert re.search(rf"^{contract}.* BROKEN", checked.stdout, re.MULTILINE), checked.stdout
