"""Routes that sniff: what a client declares, calls and sends must be one thing, however it is sent."""

import pytest

from tests.intake.heads import EXE, HTML, NOISE, SVG, office, zipped
from tests.uploads.sniffing import PNG, sniffing
from tests.web.site import Site, problem_in

__all__ = ["sniffing"]

POLYGLOT = b"GIF89a\1\0\1\0\0\0\0\x2c" + b"/*\0*/=1;alert(1)//<script>alert(1)</script>"


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


async def test_an_empty_file_is_called_empty(sniffing: Site) -> None:
    """A picture without a byte has no type that could contradict anything."""
    response = await sniffing.upload(content=b"", filename="a.png", content_type="image/png")

    assert "The file is empty" in problem_in(response, 415, "type-mismatch")["detail"]
