"""What the layers of an upload are told by."""

import json

import fastapi
import pytest
import sqlalchemy.orm

from benchmarks.layers import layer_of_file
from fastapi_filestore.intake import names


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (names.__file__, "ours: intake"),
        (fastapi.__file__, "FastAPI and Starlette"),
        (sqlalchemy.orm.__file__, "SQLAlchemy and driver"),
        (json.__file__, None),
    ],
)
def test_a_file_is_in_the_layer_of_its_package(file: str, layer: str | None) -> None:
    """Ours are told apart by their rooms; Python's own have no layer, so what they do is their caller's."""
    assert layer_of_file(file) == layer
