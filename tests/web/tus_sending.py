"""Uploads as a client of tus sends them: begun by header fields, and sent in pieces."""

from base64 import b64encode
from collections.abc import Sequence

from httpx import AsyncClient, Response

from tests.web.uploading import AT

TUS = {"Tus-Resumable": "1.0.0"}


async def begin_tus(client: AsyncClient, size: int, at: str = AT, *, concat: str = "", **metadata: str) -> Response:
    """Begin an upload of some bytes, or that is made of others."""
    pairs = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items())
    length = {} if concat.startswith("final") else {"Upload-Length": str(size)}
    return await client.post(
        at, headers=TUS | length | ({"Upload-Concat": concat} if concat else {}) | {"Upload-Metadata": pairs}
    )


async def patch(client: AsyncClient, upload: str, contents: Sequence[bytes], at: str = AT) -> None:
    """Send the bytes of an upload, one request for each piece."""
    start = 0
    for content in contents:
        headers = TUS | {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        answer = await client.patch(f"{at}/{upload}", headers=headers, content=content)
        assert answer.status_code == 204, answer.text
        start += len(content)


def id_of(begun: Response) -> str:
    """Return the id of an upload that was begun."""
    assert begun.status_code == 201, begun.text
    return begun.headers["location"].rpartition("/")[2]
