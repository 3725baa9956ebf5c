"""Uploads as a client has them: begun by JSON, and stored by the client itself."""

from typing import Any

from httpx import AsyncClient, Response

CONTENT = b"content"
AT = "/documents/uploads"


async def begin(client: AsyncClient, at: str = AT, **announced: Any) -> dict[str, Any]:
    """Begin an upload, of a text unless said otherwise, and return what the client is told."""
    headers = announced.pop("headers", {})
    body = {"filename": "a.txt", "content_type": "text/plain"} | announced
    response = await client.post(at, json=body, headers=headers)
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.json()
    return told


async def put(client: AsyncClient, upload: dict[str, Any], content: bytes = CONTENT) -> Response:
    """Store a file where an upload says."""
    direct = upload["direct"]
    return await client.request(direct["method"], direct["url"], content=content, headers=direct["headers"])


async def send(client: AsyncClient, content: bytes = CONTENT, at: str = AT, **announced: Any) -> dict[str, Any]:
    """Begin an upload and store its file."""
    upload = await begin(client, at, **announced)
    stored = await put(client, upload, content)
    assert stored.is_success, stored.text
    return upload
