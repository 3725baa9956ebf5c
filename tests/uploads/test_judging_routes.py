"""What a route asks of an upload beside its type: validators, scanners, and what is left of one that was looked at."""

from typing import Any

import pytest

from fastapi_filestore import ContentConsumedError, Filestore, Upload, UploadError
from tests.intake.heads import HTML
from tests.uploads.gallery import VIRUS
from tests.uploads.sniffing import PNG, sniffing
from tests.web.site import Site, problem_in

__all__ = ["sniffing"]


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
