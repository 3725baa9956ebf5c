"""Headers without end: what has no use is not read, and what has one has a limit."""

import pytest
from starlette.datastructures import Headers

from fastapi_filestore.web.header_fields import FIELDS, MAX_FIELD_BYTES, joined_fields
from tests.web.site import Site, problem_in


def test_lines_without_end_are_not_combined() -> None:
    """Only fields that are read here are made one value, in the order of their lines."""
    raw = [(b"x", b"y")] * 400_000 + [(b"if-match", b'"a"'), (b"range", b"bytes=0-1"), (b"if-match", b'"b"')]

    assert joined_fields(Headers(raw=raw)) == {"if-match": '"a", "b"', "range": "bytes=0-1"}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_field_at_its_limit_is_read(name: bytes) -> None:
    """The limit is of all lines of the name with the commas between them."""
    lines = [(name, b"x" * (MAX_FIELD_BYTES // 2 - 1))] * 2

    assert len(joined_fields(Headers(raw=lines))[name.decode()]) == MAX_FIELD_BYTES


@pytest.mark.parametrize(
    ("method", "suffix", "name"),
    [
        ("GET", "/file", "if-match"),
        ("HEAD", "/file", "if-none-match"),
        ("PUT", "/file", "if-unmodified-since"),
        ("PUT", "/file", "content-digest"),
        ("PATCH", "", "content-encoding"),
        ("PATCH", "", "if-match"),
        ("DELETE", "", "if-match"),
        ("POST", "", "repr-digest"),
    ],
)
async def test_a_field_past_its_limit_is_a_problem(site: Site, method: str, suffix: str, name: str) -> None:
    """A field of many lines that are too long together is a 431 under every verb that reads it, and changes nothing."""
    created = (await site.upload()).json()
    url = "/documents/" if method == "POST" else f"/documents/{created['id']}{suffix}"
    content = {"POST": {"files": {"file": ("a", b"a")}}, "PUT": {"files": {"file": ("a", b"a")}}, "PATCH": {"json": {}}}
    headers = [(name, '"a"')] * 5000
    body = content.get(method, {})
    request = site.client.build_request(method, url, **body)  # type: ignore[arg-type]
    request.headers = type(request.headers)([*request.headers.multi_items(), *headers])
    answer = await site.client.send(request)

    assert answer.status_code == 431
    if method != "HEAD":
        problem = problem_in(answer, 431, "header-too-large")
        assert (problem["limit"], problem["actual"]) == (MAX_FIELD_BYTES, 5000 * 5 - 2)
    assert (await site.client.get("/documents/")).json()["items"] == [created]


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000 + "9" * 30])
async def test_a_length_of_thousands_of_digits_is_a_problem(site: Site, length: str) -> None:
    """A Content-Length that no number of a machine holds is past the limit, and no crash."""
    created = (await site.upload()).json()
    headers = {"content-type": "application/json", "content-length": length}
    answer = await site.client.patch(f"/documents/{created['id']}", content=b"{}", headers=headers)

    problem_in(answer, 413, "upload-too-large")
