"""`Depends(files.upload())` and `Depends(files.uploads())` in routes written by hand."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import ConfigurationError, Filestore
from tests.uploads.routes import SEEN, build
from tests.web.conftest import Serve
from tests.web.filestores import nothing
from tests.web.models import Album, Document
from tests.web.site import Site

PNG = ("a.png", b"\x89PNG", "image/png")


@pytest.fixture
async def reports(serve: Serve) -> AsyncIterator[Site]:
    """A site with routes of its own."""
    SEEN.clear()
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


async def test_a_file_goes_from_the_route_into_the_row(reports: Site) -> None:
    """The service takes the upload; its checksum is the stored file's."""
    response = await reports.client.post("/reports", files={"file": ("r.pdf", b"%PDF", "application/pdf")})

    assert response.status_code == 201
    assert response.json() == {"id": 1, "checksum": sha256(b"%PDF").hexdigest(), "same": True}


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        ("application/pdf", 201),
        ("APPLICATION/PDF; x=y", 201),
        ("image/webp", 201),
        ("text/html", 415),
        ("text/html; image/png", 415),
        ("imagex/png", 415),
        ("application/pdfx", 415),
        ("nonsense", 201),  # which is no type, so the name's counts
    ],
)
async def test_only_the_types_asked_for_are_taken(reports: Site, declared: str, status: int) -> None:
    """Types are compared whole, without regard to case and parameters; nothing is stored of another."""
    response = await reports.client.post("/reports", files={"file": ("r.pdf", b"%PDF", declared)})

    assert response.status_code == status, response.text
    assert len(await reports.keys()) == (status == 201)


async def test_a_validator_sees_the_beginning_first(reports: Site) -> None:
    """A user's validator refuses a file before any of it is stored."""
    virus = b"X5O!P%@AP" + b"x" * 2_000_000
    response = await reports.client.post("/reports", files={"file": ("r.pdf", virus, "application/pdf")})

    assert response.status_code == 422
    assert "holds a virus" in response.text
    await reports.check_empty()


async def test_a_route_has_a_limit_of_its_own(reports: Site) -> None:
    """`max_size` is the route's, in a form and in a body that is the file."""
    big = b"x" * 3_000_001
    form = await reports.client.post("/reports", files={"file": ("r.pdf", big, "application/pdf")})
    raw = await reports.client.post("/reports", content=big, headers={"content-type": "application/pdf"})

    assert (form.status_code, raw.status_code) == (413, 413)
    await reports.check_empty()


async def test_fields_after_the_file_are_values(reports: Site) -> None:
    """`fields=` checks all fields wherever they stand, before the file is kept."""
    late = b'--b\r\nContent-Disposition: form-data; name="paper"; filename="p"\r\n\r\nx\r\n'
    late += b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n%s\r\n--b--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    refused = await reports.client.post("/described", content=late % b"far too long a title", headers=headers)
    assert await reports.keys() == set()
    accepted = await reports.client.post("/described", content=late % b"short", headers=headers)

    assert refused.status_code == 422
    assert accepted.json() == {"title": "short", "pages": 1, "fields": {"title": "short"}}


async def test_several_files_are_stored_as_they_come(reports: Site) -> None:
    """All of them are in the row's list, in order."""
    three = [("photos", (f"{n}.png", b"\x89PNG%d" % n, "image/png")) for n in range(3)]
    response = await reports.client.post("/albums", files=three, data={"title": "t"})

    assert response.json() == ["0.png", "1.png", "2.png"]
    assert len(await reports.keys()) == 3


@pytest.mark.parametrize(
    ("files", "data", "status"),
    [
        ([("photos", PNG)] * 4, {"title": "t"}, 422),
        ([("photos", PNG), ("other", PNG)], {"title": "t"}, 422),
        ([("photos", PNG), ("photos", ("a.html", b"", "text/html"))], {"title": "t"}, 415),
        ([("photos", PNG)] * 3, {"title": "t", "pages": "many"}, 422),
        ([("photos", PNG)] * 3, {}, 422),
        ([("photos", ("", b"", "image/png"))], {"title": "t"}, 422),
    ],
)
async def test_several_files_are_all_stored_or_none(
    reports: Site, files: list[Any], data: dict[str, str], status: int
) -> None:
    """One file too many, of another type or field, or a wrong field: none of them is left."""
    response = await reports.client.post("/albums", files=files, data=data)

    assert response.status_code == status, response.text
    assert await reports.rows(Album) == 0
    await reports.check_empty()


async def test_a_form_that_breaks_off_leaves_no_file(reports: Site) -> None:
    """Files that were complete go again when the form is not."""
    part = b'--b\r\nContent-Disposition: form-data; name="photos"; filename="a.png"\r\n\r\nx\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = await reports.client.post("/albums", content=part * 2, headers=headers)

    assert response.status_code == 400
    await reports.check_empty()


async def test_bytes_that_no_row_was_given_are_deleted(reports: Site) -> None:
    """A route that stores a file and forgets it leaves nothing behind."""
    response = await reports.client.post("/forgotten", files={"file": ("a", b"12345")})

    assert response.json() == 5
    await reports.check_empty()


async def test_other_dependencies_run_first(reports: Site) -> None:
    """Those of the router come before the body is looked at."""
    await reports.client.post("/reports", files={"file": ("r.pdf", b"%PDF", "application/pdf")})

    assert SEEN == ["authorized", "read"]


async def test_fastapis_own_upload_still_works(reports: Site) -> None:
    """An UploadFile in the same application is stored as before."""
    response = await reports.client.post("/classic", files={"file": ("a", b"12345")})

    assert (response.status_code, response.json()) == (201, 5)


async def test_the_body_is_described(reports: Site) -> None:
    """Swagger UI shows a file picker, the fields, and which types are taken."""
    paths = (await reports.client.get("/openapi.json")).json()["paths"]
    report, paper, album = (
        paths[path]["post"]["requestBody"]["content"] for path in ("/reports", "/described", "/albums")
    )
    form = paper["multipart/form-data"]["schema"]

    assert report["multipart/form-data"]["schema"]["properties"]["file"] == {"type": "string", "format": "binary"}
    assert report["multipart/form-data"]["encoding"]["file"]["contentType"] == "application/pdf, image/*"
    assert list(report) == ["multipart/form-data", "application/octet-stream"]
    assert form["required"] == ["paper", "title"]
    assert form["properties"]["title"]["maxLength"] == 10
    assert album["multipart/form-data"]["schema"]["properties"]["photos"]["type"] == "array"
    assert list(album) == ["multipart/form-data"]


async def test_refusals_are_described_where_they_are_problems(serve: Serve) -> None:
    """An application with the library's handlers says in OpenAPI what its own routes refuse; one without does not."""

    def build_with_handlers(app: FastAPI, files: Filestore) -> None:
        build(app, files)
        for error, handler in files.exception_handlers.items():
            app.add_exception_handler(error, handler)

    described: list[set[str]] = []
    for building in (build, build_with_handlers):
        async with serve(build=building) as site:
            paths = (await site.client.get("/openapi.json")).json()["paths"]
            described.append(set(paths["/reports"]["post"]["responses"]))

    assert described == [{"201"}, {"201", "400", "408", "411", "413", "415", "422", "431", "500", "503"}]


def test_a_body_is_described_without_a_start() -> None:
    """`describe` alone makes the document that a started application has, however often it is called."""
    files, app = Filestore(nothing), FastAPI()
    build(app, files)
    files.describe(app)
    files.describe(app)
    paths = app.openapi()["paths"]

    assert list(paths["/albums"]["post"]["requestBody"]["content"]) == ["multipart/form-data"]
    report = paths["/reports"]["post"]["requestBody"]["content"]
    assert list(report) == ["multipart/form-data", "application/octet-stream"]


@pytest.mark.parametrize("wrong", [{"content_types": ["pdf"]}, {"content_types": ["*/pdf"]}, {"max_size": "2 G"}])
def test_a_wrong_limit_is_told_at_once(wrong: dict[str, Any]) -> None:
    """What can't work is refused where it is written."""
    with pytest.raises(ConfigurationError):
        Filestore().upload(**wrong)


async def test_an_upload_can_be_stored_once(reports: Site) -> None:
    """There is one row for one upload."""
    await reports.client.post("/reports", files={"file": ("r.pdf", b"%PDF", "application/pdf")})

    assert await reports.rows(Document) == 1
