"""A file in a response, in a request, and in OpenAPI."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner

SHOWN = {"filename", "content_type", "size", "checksum", "last_modified", "metadata", "url"}


class DocumentBody(BaseModel):
    """A model with files, as a request and as a response."""

    file: FileObject
    preview: FileObject | None = None
    pages: list[FileObject] = []


@pytest.fixture
async def file(registry: StorageRegistry) -> FileObject:
    """A stored file."""
    return await FileObject("memory", "a.txt", content=b"hello", metadata={"k": "v"}, registry=registry).save_async()


@pytest.fixture
def app(file: FileObject) -> FastAPI:
    """An application that answers with a file and one that asks for one."""
    app = FastAPI()

    @app.get("/file")
    async def read() -> DocumentBody:
        return DocumentBody(file=file, pages=[file])

    @app.post("/file")
    async def write(body: DocumentBody) -> str:
        return body.file.filename

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        yield client


async def test_what_a_response_shows(client: httpx.AsyncClient, file: FileObject) -> None:
    """A response shows what a client may know, and neither backend nor path."""
    body = (await client.get("/file")).json()
    shown = body["file"]

    assert shown.keys() == SHOWN
    assert (shown["filename"], shown["content_type"], shown["size"]) == ("a.txt", "text/plain", 5)
    assert (shown["checksum"], shown["metadata"], shown["url"]) == (file.checksum, {"k": "v"}, None)
    assert datetime.fromisoformat(shown["last_modified"]) == file.last_modified
    assert (body["pages"], body["preview"]) == ([shown], None)


async def test_no_backend_and_no_path(client: httpx.AsyncClient, file: FileObject) -> None:
    """Neither the path nor the backend's key is anywhere in the text of a response."""
    text = (await client.get("/file")).text

    assert file.path is not None
    assert file.path not in text
    assert "memory" not in text


async def test_a_url_that_was_set(client: httpx.AsyncClient, file: FileObject) -> None:
    """The URL that a router gave is shown."""
    file.url = "/documents/1/file"

    assert (await client.get("/file")).json()["file"]["url"] == "/documents/1/file"


async def test_a_signed_url(client: httpx.AsyncClient, file: FileObject, registry: StorageRegistry) -> None:
    """With a signing key the URL is a signed one that reads this object."""
    registry.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore/")
    url = (await client.get("/file")).json()["file"]["url"]

    assert registry.signer.verify(url.removeprefix("/filestore/"), method="GET").path == file.path


@pytest.mark.parametrize(
    "given",
    [
        {"backend": "memory", "path": "secret", "filename": "a.txt"},
        {"filename": "a.txt", "content_type": "text/plain"},
        "secret",
        None,
    ],
)
async def test_a_request_cannot_carry_one(client: httpx.AsyncClient, given: Any) -> None:
    """Whatever a client sends for a file is refused with 422."""
    answer = await client.post("/file", json={"file": given})

    assert answer.status_code == 422


@pytest.mark.parametrize("field", ["preview", "pages"])
async def test_no_other_way_in(client: httpx.AsyncClient, field: str) -> None:
    """Neither an optional file nor a list of files can be filled by a client."""
    answer = await client.post("/file", json={"file": None, field: [{"path": "secret"}]})

    assert answer.status_code == 422
    assert {error["loc"][1] for error in answer.json()["detail"]} == {"file", field}


@pytest.mark.parametrize("text", ['{"file": {"path": "secret"}}', '{"file": "secret"}', '{"file": null}'])
def test_json_validation(text: str) -> None:
    """Validating JSON text refuses it, too."""
    with pytest.raises(ValidationError):
        DocumentBody.model_validate_json(text)


async def test_an_instance_is_valid(file: FileObject) -> None:
    """In Python the model holds the very object."""
    body = DocumentBody(file=file)

    assert body.file is body.model_dump()["file"] is file


async def test_openapi(client: httpx.AsyncClient) -> None:
    """OpenAPI describes the response, read-only."""
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    models = [schema for schema in schemas.values() if schema.get("title") == "DocumentBody"]
    files = [_resolved(schema["properties"]["file"], schemas) for schema in models]

    assert files
    for described in files:
        assert described["properties"].keys() == SHOWN | {"id"}
        assert described["readOnly"] is True


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else schemas[reference.rpartition("/")[2]]


def test_json_schema() -> None:
    """A type adapter knows the schema without an application."""
    schema = TypeAdapter(FileObject).json_schema(mode="serialization")

    assert schema["title"] == "FileRead"
    assert schema["properties"].keys() == SHOWN | {"id"}


async def test_a_pending_file(registry: StorageRegistry) -> None:
    """A file that is not stored yet is shown with what is known."""
    shown = TypeAdapter(FileObject).dump_python(
        FileObject("memory", "a.txt", content=b"x", registry=registry), mode="json"
    )

    assert shown["filename"] == "a.txt"
    assert (shown["size"], shown["checksum"], shown["url"]) == (None, None, None)
