"""The OpenAPI document in detail: what generators of clients, and those who read it, go by."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject, Upload, Uploads
from fastapi_filestore.web.problems import KINDS
from fastapi_filestore.web.routes.operations import with_article
from tests.web.filestores import nothing
from tests.web.several import several


class Base(DeclarativeBase):
    """Tables of these tests."""


PROBLEM = {"$ref": "#/components/schemas/Problem"}


def own_uploads() -> dict[str, Any]:
    """Return the document of an application with uploads in routes of its own, one of which is included."""
    files, app, inner = Filestore(nothing), FastAPI(), APIRouter()
    app.exception_handlers |= files.exception_handlers

    @app.post("/one", responses={413: {"description": "Too much."}, 507: {"description": "Full."}})
    async def send_one(upload: Annotated[Upload, Depends(files.upload())]) -> None:
        raise NotImplementedError

    @inner.post("/several")
    async def send_several(uploads: Annotated[Uploads, Depends(files.uploads(max_files=3))]) -> None:
        raise NotImplementedError

    app.include_router(inner, prefix="/inner")
    files.describe(app)
    return app.openapi()


def test_problems_of_own_uploads_have_a_schema() -> None:
    """Each problem of an upload in a route of one's own is the component, but for what the route says itself."""
    document = own_uploads()
    for path in ("/one", "/inner/several"):
        answers = document["paths"][path]["post"]["responses"]
        refusals = {status: answer for status, answer in answers.items() if int(status) >= 400 and "content" in answer}

        assert {"400", "415", "422", "503"} <= refusals.keys()
        for answer in refusals.values():
            assert answer["content"]["application/problem+json"]["schema"] == PROBLEM

    assert document["paths"]["/one"]["post"]["responses"]["413"] == {"description": "Too much."}
    assert document["paths"]["/one"]["post"]["responses"]["507"] == {"description": "Full."}


def test_the_schema_of_problems_has_all_members_that_are_sent() -> None:
    """Generated clients read the members of every kind by name, and where a wrong value is."""
    members = own_uploads()["components"]["schemas"]["Problem"]["properties"]

    assert {member for kind in KINDS.values() for member in kind.members} <= members.keys()
    assert members["errors"]["items"]["required"] == ["loc", "msg", "type"]


def described(*, prefix: str = "/entries") -> dict[str, Any]:
    """Return the paths of a model with files and a list, from its prefix on."""
    app = FastAPI()
    several(app, Filestore(nothing))
    paths = app.openapi()["paths"]
    return {path.removeprefix(prefix): methods for path, methods in paths.items() if path.startswith(f"{prefix}/")}


def test_conditions_of_rows_are_not_those_of_files() -> None:
    """A row has no entity tag, and the document does not say that a file's would do."""
    paths = described()
    row, pages = paths["/{identity}"], paths["/{identity}/pages"]
    for operation in (row["patch"], row["delete"], pages["post"]):
        texts = {field["name"]: field["description"] for field in operation["parameters"] if field["in"] == "header"}

        assert set(texts) == {"If-Match", "If-None-Match"}
        assert "no entity tag" in texts["If-Match"]

    replacement = paths["/{identity}/cover"]["put"]["parameters"]
    assert any("file's entity tag" in field["description"] for field in replacement if field["name"] == "If-Match")


class Portfolio(Base):
    """A row with files of different rules."""

    __tablename__ = "portfolios"

    id: Mapped[int] = mapped_column(primary_key=True)
    back: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
    cover: Mapped[FileObject] = mapped_column(StoredObject(backend="web", max_size=100, content_types=["image/*"]))
    works: Mapped[list[FileObject]] = mapped_column(
        StoredObject(backend="web", multiple=True, max_files=3, content_types=["application/pdf", "text/plain"])
    )


def test_each_file_of_a_form_has_a_description_of_its_own() -> None:
    """A limit or a type of one column is not told of another one, nor of the whole form."""
    app = FastAPI()
    app.include_router(Filestore(nothing).router(Portfolio), prefix="/portfolios")
    body = app.openapi()["paths"]["/portfolios/"]["post"]["requestBody"]
    form = body["content"]["multipart/form-data"]
    files = form["schema"]["properties"]

    assert "description" not in body
    assert "description" not in files["back"]
    assert files["cover"]["description"] == "A file has at most 100 B. It is of type image/*."
    assert files["works"]["description"] == "At most 3 files. It is of type application/pdf or text/plain."
    assert form["encoding"] == {
        "cover": {"contentType": "image/*"},
        "works": {"contentType": "application/pdf, text/plain"},
    }


class Album(Base):
    """A model with a name that begins with a vowel."""

    __tablename__ = "albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


def test_summaries_have_the_right_article_and_number() -> None:
    """People read `an album`, and that all files of a row go with it."""
    files, app = Filestore(nothing), FastAPI()
    app.include_router(files.router(Album), prefix="/albums")
    app.include_router(files.router(Portfolio), prefix="/portfolios")
    paths = app.openapi()["paths"]

    assert paths["/albums/{identity}"]["get"]["summary"] == "Read an album"
    assert paths["/albums/{identity}"]["delete"]["summary"] == "Delete an album and its file"
    assert paths["/portfolios/{identity}"]["delete"]["summary"] == "Delete a portfolio and its files"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("application", "an application"), ("user", "a user"), ("unit", "a unit"), ("umbrella", "an umbrella"),
        ("hour", "an hour"), ("house", "a house"), ("uninvitedguest", "an uninvitedguest"),
    ],
)  # fmt: skip
def test_articles_go_by_sound(word: str, expected: str) -> None:
    """A word of a vowel that is said as a consonant has `a`, and the other way round."""
    assert with_article(word) == expected


def test_examples_of_problems_are_of_what_the_operation_can_answer() -> None:
    """Of problems with one status, each operation shows one that it has itself."""
    app, files = FastAPI(), Filestore(nothing)
    app.include_router(files.router(Album), prefix="/albums")
    app.include_router(files.signed_router())
    paths = app.openapi()["paths"]

    def kind(method: str, path: str, status: int) -> str:
        answer = paths[path][method]["responses"][str(status)]["content"]["application/problem+json"]
        return str(answer["example"]["type"]).removeprefix("urn:fastapi-filestore:")

    assert kind("post", "/albums/", 409) == "row-conflict"
    assert kind("post", "/albums/", 413) == "upload-too-large"
    assert kind("get", "/albums/", 422) == "invalid-cursor"
    assert kind("patch", "/albums/{identity}", 415) == "unsupported-upload"
    assert kind("put", "/albums/{identity}/file", 409) == "stale-file"
    assert kind("put", "/albums/{identity}/file", 412) == "precondition-failed"
    assert kind("put", "/albums/{identity}/file", 422) == "missing-file"
    assert kind("get", "/albums/{identity}/file", 416) == "range-not-satisfiable"
    assert kind("get", "/filestore", 403) == "invalid-signature"
    assert kind("get", "/filestore", 404) == "object-not-found"
    assert kind("put", "/filestore", 409) == "object-exists"
    assert (kind("get", "/albums/", 503), kind("get", "/filestore", 503)) == (
        "database-unavailable",
        "store-unavailable",
    )
