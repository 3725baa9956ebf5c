"""What OpenAPI says of uploads: generated clients begin, complete, end and claim them."""

from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.filestores import nothing
from tests.web.models import Book, Document


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    """The paths of books that take uploads, and of documents that do not."""
    files, app = Filestore(nothing), FastAPI()
    app.include_router(files.router(Book, uploads=True), prefix="/books")
    app.include_router(files.router(Document), prefix="/documents")
    described: dict[str, Any] = app.openapi()["paths"]
    return described


def test_operations_of_uploads(paths: dict[str, Any]) -> None:
    """Each has its name, its statuses and what it answers."""
    begin, complete = paths["/books/uploads"]["post"], paths["/books/uploads/{upload}/complete"]["post"]
    read, end = (paths["/books/uploads/{upload}"][method] for method in ("get", "delete"))
    names = [operation["operationId"] for operation in (begin, read, complete, end)]

    assert names == ["begin_book_upload", "read_book_upload", "complete_book_upload", "end_book_upload"]
    assert {"201", "413", "415", "422", "429"} <= begin["responses"].keys()
    assert "Location" in begin["responses"]["201"]["headers"]
    assert {"404", "409", "413", "415", "422"} <= complete["responses"].keys()
    assert begin["requestBody"]["content"]["application/json"]["schema"]["required"] == ["filename"]
    assert paths["/books/uploads/{upload}"].keys() == {"get", "delete"}  # tus describes itself


@pytest.mark.parametrize(
    ("path", "method"), [("/books/", "post"), ("/books/{identity}/file", "put"), ("/books/{identity}/pages", "post")]
)
def test_bodies_name_uploads(paths: dict[str, Any], path: str, method: str) -> None:
    """A form has ids as text, and needs no file; of JSON, which generators would prefer, nothing is said there."""
    operation = paths[path][method]
    content = operation["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]

    assert form["properties"]["upload"]["type"] == "string"
    assert "application/json" not in content
    assert not {"cover", "pages", "upload"} & {*form.get("required", [])}
    assert {"404", "409"} <= operation["responses"].keys()


def test_without_uploads_nothing_is_said_of_them(paths: dict[str, Any]) -> None:
    """A router that keeps none has no such field and no such path."""
    described = [
        operation for path, methods in paths.items() if path.startswith("/documents") for operation in [methods]
    ]

    assert "/documents/uploads" not in paths
    assert "Ids of uploads" not in str(described)
