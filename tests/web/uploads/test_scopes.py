"""Uploads of routers with a scope: what no row may take stays with its owner."""

import pytest

from tests.web.papers import as_user, site, whole
from tests.web.site import Site, problem_in
from tests.web.uploading import send

__all__ = ["site"]


@pytest.mark.parametrize("body", ["json", "data"])
async def test_a_row_out_of_scope_leaves_its_upload(site: Site, body: str) -> None:
    """The row is refused as ever, and its owner's next one takes the upload."""
    ann = as_user("ann")
    upload = await send(site.client, b"of ann", "/team-papers/uploads", headers=ann)
    before = await whole(site)
    fields = {"title": "t", "team": "blue", "upload": upload["id"]}
    refused = await site.client.request("POST", "/team-papers/", headers=ann, **{body: fields})  # type: ignore[arg-type]
    rows, _ = await whole(site)
    await site.check()

    problem_in(refused, 403, "out-of-scope")
    assert rows == before[0]
    assert (await site.client.get(upload["url"], headers=ann)).json()["state"] == "complete"
    taken = await site.client.put("/papers/1/file", json={"upload": upload["id"]}, headers=ann)
    assert taken.status_code == 200, taken.text
    assert (await site.client.get("/papers/1/file", headers=ann)).content == b"of ann"


async def test_a_row_of_somebody_else_takes_none(site: Site) -> None:
    """A claim for another user's row is the 404 of the row, and the upload stays as it is."""
    ann = as_user("ann")
    upload = await send(site.client, at="/papers/uploads", headers=ann)
    answers = [
        await site.client.put(f"/papers/{number}/file", json={"upload": upload["id"]}, headers=ann) for number in (2, 3)
    ]

    for answer in answers:
        problem_in(answer, 404, "row-not-found")
    assert (await site.client.get(upload["url"], headers=ann)).json()["state"] == "open"
