"""Parts of forms, as clients write them."""

from collections.abc import AsyncIterator

import pytest

from tests.web.conftest import Serve
from tests.web.site import Site

MULTIPART = "multipart/form-data; boundary=b"


TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'


END = b"--b--\r\n"


def part(
    name: bytes = b"file", filename: bytes | None = b"a.txt", content: bytes = b"x", headers: bytes = b""
) -> bytes:
    """Write one part of a form."""
    named = b"" if filename is None else b'; filename="' + filename + b'"'
    return (
        b'--b\r\nContent-Disposition: form-data; name="'
        + name
        + b'"'
        + named
        + b"\r\n"
        + headers
        + b"\r\n"
        + (content + b"\r\n")
    )


@pytest.fixture
async def strict(serve: Serve) -> AsyncIterator[Site]:
    """A site with low limits."""
    async with serve(max_upload_size=10_000, max_field_size=2000, max_form_fields=5, shared=True) as site:
        yield site
