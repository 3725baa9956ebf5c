"""docs/security.md says which test proves what; each of them exists."""

import re
from pathlib import Path

import pytest

from tests.security.conftest import ROOT

TABLE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)))


def test_every_row_has_its_proof() -> None:
    """Way in, defence, proof: none is empty, and a proof is a list of tests."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line[:2] == "| "]
    proofs = [re.split(r"`, `", proof.strip("`")) for _, _, proof in rows[2:]]

    assert len(rows) > 2 + 15
    assert all(all(row) for row in rows)
    assert all(re.fullmatch(r"tests/[\w/]+\.py::test_\w+", test) for proof in proofs for test in proof)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_proof_exists(path: str, name: str) -> None:
    """The test is in the file that the table names."""
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_test_of_this_folder_is_in_the_table() -> None:
    """Nothing here proves anything that the table does not tell."""
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    tests = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in files
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }

    assert tests - set(NAMED) == set()
