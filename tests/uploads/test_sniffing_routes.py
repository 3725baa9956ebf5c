"""Routes that sniff: what a client declares, calls and sends must be one thing, however it is sent."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_filestore import ContentConsumedError, FileService, Filestore, Upload, UploadError, Uploads
from tests.intake.heads import EXE, HTML, NOISE, SVG, office, png, zipped
from tests.uploads.gallery import VIRUS, NoGif, VirusScan
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site, problem_in

PNG = png()
POLYGLOT = b"GIF89a\1\0\1\0\0\0\0\x2c" + b"/*\0*/=1;alert(1)//<script>alert(1)</script>"


def build(app: FastAPI, files: Filestore) -> None:
    """Add a route of each kind."""
    get_documents, get_albums = files.service(Document), files.service(Album)
    routes = APIRouter()

    @routes.post("/images", status_code=201)
    async def image(
        upload: Annotated[
            Upload,
            Depends(files.upload(max_size="1 MB", content_types=["image/*"], sniff=True, validators=[VirusScan()])),
        ],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> dict[str, str | None]:
        sniffed = upload.sniffed_type  # known before a byte is stored
        row = await service.create({"title": upload.filename, "file": upload})
        assert row.file is not None
        return {"sniffed": sniffed, "kept": row.file.content_type}

    @routes.post("/any", status_code=201)
    async def anything(
        upload: Annotated[Upload, Depends(files.upload(sniff=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> str | None:
        await service.create({"title": upload.filename, "file": upload})
        return upload.sniffed_type

    @routes.post("/blind", status_code=201)
    async def blind(
        upload: Annotated[Upload, Depends(files.upload())],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> list[str | None]:
        before = upload.sniffed_type
        await service.create({"title": upload.filename, "file": upload})
        return [before, upload.sniffed_type]

    @routes.post("/firmware", status_code=201)
    async def firmware(
        upload: Annotated[Upload, Depends(files.upload(content_types=["application/octet-stream"], sniff=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> None:
        await service.create({"title": upload.filename, "file": upload})

    @routes.post("/albums", status_code=201)
    async def album(
        photos: Annotated[
            Uploads,
            Depends(files.uploads("photos", max_files=2, content_types=["image/png"], sniff=True)),
        ],
        service: Annotated[FileService[Album], Depends(get_albums)],
    ) -> int:
        row = await service.create({"photos": photos})
        return len(row.photos or [])

    for kind, handler in files.exception_handlers.items():
        app.add_exception_handler(kind, handler)
    app.include_router(routes)
    app.include_router(files.router(Document, sniff=True), prefix="/pages")
    app.include_router(
        files.router(
            Document, max_size="1 KiB", content_types=["image/*"], sniff=True, validators=[NoGif(), VirusScan()]
        ),
        prefix="/documents",
    )


@pytest.fixture
async def sniffing(serve: Serve) -> AsyncIterator[Site]:
    """A site whose routes sniff."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


# The row "forged content type" of the table of what must be defended, over the wire.
FORGED = {
    "html as png": ("a.png", HTML, "image/png"),
    "html as png in capitals": ("A.PNG", HTML.upper(), "IMAGE/PNG"),
    "html as png with a parameter": ("a.png", HTML, "image/png; charset=utf-8"),
    "html with png as its parameter": ("a.png", HTML, "text/html; image/png"),
    "html behind a line break": ("a.png", b"\r\n\r\n<html>", "image/png"),
    "html declared as bytes": ("a.png", HTML, "application/octet-stream"),
    "html declared as nonsense": ("a.png", HTML, "image/png, text/html"),
    "svg as png": ("a.png", SVG, "image/png"),
    "png as html": ("a.html", PNG, "text/html"),
    "png named html": ("a.html", PNG, "image/png"),
    "polyglot declared as html": ("a.gif", POLYGLOT, "text/html"),
    "polyglot named html": ("a.html", POLYGLOT, "image/gif"),
    "polyglot named as an archive": ("a.jar", POLYGLOT, "image/gif"),
    "polyglot that is a script": ("a.js", POLYGLOT, "text/javascript"),
    "noise as png": ("a.png", NOISE, "image/png"),
    "nothing as png": ("a.png", b"", "image/png"),
    "html as an unknown picture": ("a", HTML, "image/x-own"),
    "svg as an archive": ("a.gz", SVG, "application/gzip"),
}


@pytest.mark.parametrize("url", ["/images", "/any"])
async def test_a_forged_type_is_refused_in_a_form(sniffing: Site, url: str) -> None:
    """It is a 415 before anything is stored, whatever types the route takes."""
    answers = {case: await sniffing.client.post(url, files={"file": file}) for case, file in FORGED.items()}

    assert {case: answer.status_code for case, answer in answers.items()} == dict.fromkeys(FORGED, 415)
    await sniffing.check_empty()


async def test_a_forged_type_is_refused_as_a_body(sniffing: Site) -> None:
    """The same for a body that is the file itself."""
    statuses = {}
    for case, (name, content, declared) in FORGED.items():
        headers = {"content-type": declared, "content-disposition": f'attachment; filename="{name}"'}
        statuses[case] = (await sniffing.client.post("/any", content=content, headers=headers)).status_code

    assert statuses == dict.fromkeys(FORGED, 415)
    await sniffing.check_empty()


async def test_a_page_declared_as_text_is_delivered_as_text(sniffing: Site) -> None:
    """What says less than the bytes and the name is honest, and kept: no browser runs the page."""
    for name, content in {"a.svg": SVG, "a.html": HTML}.items():
        created = await sniffing.client.post(
            "/pages/", files={"file": (name, content, "text/plain")}, data={"title": name}
        )
        assert created.status_code == 201, created.text
        delivered = await sniffing.client.get(created.json()["file"]["url"])

        assert delivered.headers["content-type"].partition(";")[0] == "text/plain"
        assert delivered.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("declared", ["image/png\ntext/html", "image/png\r\nX: y", "image/png\0", "image/png "])
async def test_a_line_break_in_a_type_is_no_way_in(sniffing: Site, declared: str) -> None:
    """A type is a type on one line, or it is none: then the name and the bytes decide."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: '
    headers = {"content-type": "multipart/form-data; boundary=b"}
    refused = await sniffing.client.post(
        "/images", content=head + declared.encode() + b"\r\n\r\n" + HTML + b"\r\n--b--\r\n", headers=headers
    )

    assert refused.status_code in {400, 415}
    await sniffing.check_empty()


async def test_the_problem_names_all_three_types(sniffing: Site) -> None:
    """A client learns what contradicts what."""
    response = await sniffing.client.post("/images", files={"file": ("a.gif", HTML, "image/png")})
    problem = problem_in(response, 415, "type-mismatch")

    assert (problem["declared"], problem["sniffed"], problem["extension"]) == ("image/png", "text/html", "image/gif")
    assert "text/html" in problem["detail"]


@pytest.mark.parametrize(
    ("name", "declared", "kept"),
    [
        ("a.png", "image/png", "image/png"),
        ("a", "application/octet-stream", "image/png"),
        ("a.png", "application/octet-stream", "image/png"),
        ("a", "nonsense", "image/png"),
        ("a.png", "IMAGE/PNG; x=y", "IMAGE/PNG; x=y"),
    ],
)
async def test_an_honest_file_is_kept_with_its_type(sniffing: Site, name: str, declared: str, kept: str) -> None:
    """The route knows the type of the bytes, which stands in where nothing is declared."""
    response = await sniffing.client.post("/images", files={"file": (name, PNG, declared)})

    assert response.json() == {"sniffed": "image/png", "kept": kept}


async def test_office_documents_are_what_they_are(sniffing: Site) -> None:
    """A document declared as what it is, or as the archive that it is made of, is one."""
    docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    for declared in (docx, "application/zip", "application/octet-stream"):
        response = await sniffing.client.post(
            "/any", files={"file": (f"{declared[-6:]}.docx", office("word"), declared)}
        )
        assert (response.status_code, response.json()) == (201, docx)


async def test_types_that_agree_must_be_taken_all_the_same(sniffing: Site) -> None:
    """An honest HTML page is no image."""
    response = await sniffing.client.post("/images", files={"file": ("a.html", HTML, "text/html")})
    problem = problem_in(response, 415, "unsupported-upload")

    assert (problem["actual"], problem["expected"]) == ("text/html", ["image/*"])


@pytest.mark.parametrize(("content", "status"), [(NOISE, 201), (PNG, 201), (EXE, 415), (zipped("a"), 415)])
async def test_an_unknown_picture_is_no_program(sniffing: Site, content: bytes, status: int) -> None:
    """A type that nobody knows is of what is asked for unless the bytes are plainly of something else."""
    response = await sniffing.client.post("/images", files={"file": ("a", content, "image/x-own")})

    assert response.status_code == status, response.text


async def test_bytes_of_no_type_are_taken_where_they_are_asked_for(sniffing: Site) -> None:
    """Whoever takes application/octet-stream takes what is declared as that, whatever it begins like."""
    for name, content in {"a.bin": NOISE, "b.bin": PNG}.items():
        response = await sniffing.client.post("/firmware", files={"file": (name, content, "application/octet-stream")})
        assert response.status_code == 201, response.text


async def test_a_route_that_asks_for_nothing_believes(sniffing: Site) -> None:
    """The type of the bytes is known once they are stored, and refuses nothing."""
    response = await sniffing.client.post("/blind", files={"file": ("a.png", HTML, "image/png")})

    assert response.json() == [None, "text/html"]


async def test_a_scanner_on_the_route_sees_the_stored_object(sniffing: Site) -> None:
    """Its refusal is a 422, and neither an object nor a row is left."""
    response = await sniffing.client.post("/images", files={"file": ("a.png", PNG + VIRUS, "image/png")})

    assert "holds a virus" in problem_in(response, 422, "invalid-upload")["detail"]
    await sniffing.check_empty()


async def test_one_forged_file_refuses_all(sniffing: Site) -> None:
    """Each file of a form is sniffed when it comes; the ones before it go again."""
    honest, forged = ("photos", ("a.png", PNG, "image/png")), ("photos", ("b.png", HTML, "image/png"))
    refused = await sniffing.client.post("/albums", files=[honest, forged])

    problem_in(refused, 415, "type-mismatch")
    await sniffing.check_empty()
    assert (await sniffing.client.post("/albums", files=[honest, honest])).json() == 2


# -- the router --------------------------------------------------------------------------------------


async def test_the_router_asks_for_the_same(sniffing: Site) -> None:
    """Size, types, first bytes and the stored object, of a new file and of one that replaces another."""
    refused = {
        413: ("a.png", PNG + b"\0" * 1024, "image/png"),
        415: ("a.png", HTML, "image/png"),
        422: ("a.png", PNG + VIRUS, "image/png"),
    }
    for status, file in refused.items():
        response = await sniffing.client.post("/documents/", files={"file": file}, data={"title": "t"})
        assert response.status_code == status, response.text
    await sniffing.check_empty()
    created = await sniffing.client.post(
        "/documents/", files={"file": ("a.png", PNG, "image/png")}, data={"title": "t"}
    )
    url = f"{created.headers['location']}/file"
    for status, file in refused.items():
        assert (await sniffing.client.put(url, files={"file": file})).status_code == status

    assert (await sniffing.client.get(url)).content == PNG


async def test_openapi_says_what_is_taken(sniffing: Site) -> None:
    """Sizes, types and numbers are in the description of each body, for people, and in its schema, for programs."""
    paths = (await sniffing.client.get("/openapi.json")).json()["paths"]
    image, album, document, blind = (
        paths[path]["post"]["requestBody"] for path in ("/images", "/albums", "/documents/", "/blind")
    )
    photos = album["content"]["multipart/form-data"]["schema"]["properties"]["photos"]

    assert image["description"] == (
        "A file has at most 1000000 B. It is of type image/*. What it is declared as, what its name says and what its "
        "first bytes are of must agree."
    )
    assert album["description"].startswith("At most 2 files. A file has at most 1 GiB. It is of type image/png.")
    assert (photos["minItems"], photos["maxItems"]) == (1, 2)
    assert document["description"].startswith("A file has at most 1 KiB. It is of type image/*.")
    assert document["content"]["multipart/form-data"]["encoding"]["file"]["contentType"] == "image/*"
    assert blind["description"] == "A file has at most 1 GiB."


# -- what the upload itself does --------------------------------------------------------------------


async def chunks(*contents: bytes) -> Any:
    """Yield chunks."""
    for content in contents:
        yield content


async def test_an_upload_can_be_looked_at_before_it_is_stored() -> None:
    """Its first bytes are still there when it is."""
    upload = Upload(chunks(b"ab", b"cd", b"ef"), filename="a")

    assert [await upload.peek(size) for size in (0, 3, 2, 99)] == [b"", b"abc", b"ab", b"abcdef"]
    assert b"".join([chunk async for chunk in upload]) == b"abcdef"


async def test_what_a_route_left_unread_is_never_half_stored() -> None:
    """An upload whose request is over is told from one that is empty."""
    upload = Upload(chunks(b"ab", b"cd"), filename="a")
    await upload.peek(1)
    await upload.aclose()

    with pytest.raises(ContentConsumedError):
        _ = [chunk async for chunk in upload]


async def test_a_validator_is_asked_once_unless_it_refuses() -> None:
    """What was judged in the route is not judged again when it is stored."""
    asked = []

    class Ask:
        async def validate(self, head: bytes, upload: Any) -> None:
            asked.append(head)
            if head == b"no":
                raise UploadError("No.")

    rules = Filestore().upload(validators=[Ask()]).rules
    good, bad = (Upload(chunks(content), filename="a", rules=rules) for content in (b"yes", b"no"))
    await good.examine()
    _ = [chunk async for chunk in good]
    for _ in range(2):
        with pytest.raises(UploadError):
            await bad.examine()

    assert asked == [b"yes", b"no", b"no"]
