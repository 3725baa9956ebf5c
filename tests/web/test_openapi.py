"""The OpenAPI document: complete, consistent, and what the routes really do."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, Field

from fastapi_filestore import FileObject, Filestore
from tests.web.conftest import Serve
from tests.web.filestores import nothing
from tests.web.models import Album, Document, Ticket
from tests.web.site import problem_in


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """An application with everything, one model twice."""
    files, app = Filestore(nothing), FastAPI(title="All", version="1")
    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.include_router(files.router(Document, uploads=True), prefix="/papers")
    app.include_router(files.router(Ticket, uploads=True), prefix="/tickets")
    app.include_router(files.router(Album, field="cover", uploads=True), prefix="/albums")
    app.include_router(files.signed_router())
    return app


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    """The application's OpenAPI document."""
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Iterate path, method and operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    """A model that is mounted twice has two of each, so that a client can be generated."""
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names)) == 78


def test_prefixes_that_differ_in_punctuation_have_operations_of_their_own() -> None:
    """Names that words of a prefix alone would make twice are numbered."""
    files, app = Filestore(nothing), FastAPI()
    for prefix in ("/tickets", "/v1/tickets", "/v1.tickets"):
        app.include_router(files.router(Ticket), prefix=prefix)

    names = [path["post"]["operationId"] for path in app.openapi()["paths"].values() if "post" in path]

    assert names == ["create_ticket", "create_ticket_at_v1_tickets", "create_ticket_at_v1_tickets_2"]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each has a summary, a tag, and a description for every status; problems have a type but for HEAD."""
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["tags"], (path, method)
        for status, response in operation["responses"].items():
            assert response["description"], (path, method, status)
            if method == "head":
                assert "content" not in response, (path, status)
            elif int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (path, method, status)
                assert response["content"]["application/problem+json"]["example"]["status"] == int(status)
        assert {"500", "503"} <= operation["responses"].keys()


def test_every_reference_has_its_target(document: dict[str, Any]) -> None:
    """Nothing refers to what is not in the document."""
    references = set(_references(document))

    assert references
    for reference in references:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_schemas_have_the_names_of_their_models(document: dict[str, Any]) -> None:
    """One model is one schema, however often it is mounted."""
    names = set(document["components"]["schemas"])

    assert {"DocumentRead", "DocumentPage", "TicketRead", "AlbumRead", "UploadState"} <= names
    assert not [name for name in names if "__" in name]


def test_a_form_has_a_file_picker_and_the_columns(document: dict[str, Any]) -> None:
    """The multipart body shows the file and each field with its constraints, and asks for what is required."""
    body = document["paths"]["/documents/"]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]

    assert body["required"] is True
    assert schema["properties"]["file"] == {"type": "string", "format": "binary"}
    assert schema["properties"]["title"]["maxLength"] == 40
    assert schema["properties"]["kind"]["enum"] == ["letter", "invoice"]
    assert schema["properties"]["kind"]["default"] == "letter"
    assert schema["required"] == ["title"]
    assert set(schema["properties"]) == {"file", "title", "kind", "pages", "signed", "day", "secret", "upload"}


def test_a_change_is_described(document: dict[str, Any]) -> None:
    """PATCH takes the same fields as JSON, all of them optional."""
    operation = document["paths"]["/documents/{identity}"]["patch"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]

    assert set(schema["properties"]) == {"title", "kind", "pages", "signed", "day", "secret"}
    assert "required" not in schema


def test_paths_and_downloads_have_their_types(document: dict[str, Any]) -> None:
    """An id is of the key's type, a download is bytes, and a created row has a Location."""
    (parameter,) = document["paths"]["/tickets/{identity}"]["get"]["parameters"]
    download = document["paths"]["/tickets/{identity}/file"]["get"]["responses"]["200"]
    created = document["paths"]["/tickets/"]["post"]["responses"]["201"]

    assert parameter["schema"]["format"] == "uuid"
    assert download["content"] == {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "*/*": {},
    }
    assert "Location" in created["headers"]


def test_a_file_is_shown_without_its_place(document: dict[str, Any]) -> None:
    """The schema of a file knows neither backend nor path."""
    schemas = document["components"]["schemas"]

    assert {"$ref": "#/components/schemas/FileRead"} in schemas["DocumentRead"]["properties"]["file"]["anyOf"]
    assert set(schemas["FileRead"]["properties"]) == {
        "filename", "content_type", "size", "checksum", "last_modified", "metadata", "url", "id",
    }  # fmt: skip


async def test_the_documentation_loads(app: FastAPI) -> None:
    """/docs and /openapi.json answer."""
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://a") as client:
        assert (await client.get("/docs")).status_code == 200
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.")


# -- models of one's own -------------------------------------------------------------------------------


class Brief(BaseModel):
    """A document in short; it does not say that it is read from attributes."""

    id: int
    title: str
    file: FileObject | None


class Titled(BaseModel):
    """What a client may send."""

    title: Annotated[str, Field(min_length=3)]


async def test_models_of_ones_own_take_the_place_of_derived_ones(serve: Serve) -> None:
    """`read=`, `create=` and `update=` are used in requests, responses and the document."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(
            files.router(Document, read=Brief, create=Titled, update=Titled, uploads=True), prefix="/documents"
        )

    async with serve(build=build) as site:
        created = await site.upload(title="long enough")
        document = site.app.openapi()["paths"]["/documents/"]["post"]

        assert (created.status_code, set(created.json())) == (201, {"id", "title", "file"})
        problem_in(await site.upload(title="no"), 422, "invalid-fields")
        problem_in(await site.client.patch("/documents/1", json={}), 422, "invalid-fields")
        assert document["requestBody"]["content"]["multipart/form-data"]["schema"]["required"] == ["title"]
        assert document["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/Brief")
