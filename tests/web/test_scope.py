"""Whose rows a request may see and change: every verb, for the owner, for another user, and for nobody."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from httpx import Response

from fastapi_filestore import Filestore
from tests.web.filestores import nothing
from tests.web.models import Member, Paper
from tests.web.papers import CHALLENGE, as_user, current_user, own_papers, post, site, whole
from tests.web.site import Site, problem_in
from tests.web.uploading import begin

__all__ = ["site"]


@dataclass(frozen=True)
class Verb:
    """A request that each verb of the router gets, and what the owner of the row is answered."""

    status: int
    options: dict[str, Any]
    of_a_row: bool = True


FORM: dict[str, Any] = {"files": {"file": ("b.txt", b"new")}}
TUS = {"Tus-Resumable": "1.0.0"}
ENDING: dict[str, Any] = {"headers": TUS | {"X-HTTP-Method-Override": "DELETE"}}
PART: dict[str, Any] = {
    "content": b"new",
    "headers": TUS | {"Upload-Offset": "0", "Upload-Length": "3", "Content-Type": "application/offset+octet-stream"},
}


VERBS = {
    ("POST", "/"): Verb(201, FORM | {"data": {"title": "t"}}, of_a_row=False),
    ("GET", "/"): Verb(200, {}, of_a_row=False),
    ("HEAD", "/"): Verb(200, {}, of_a_row=False),
    ("POST", "/uploads"): Verb(201, {"json": {"filename": "a.txt"}}, of_a_row=False),
    ("GET", "/uploads/{upload}"): Verb(200, {}),
    ("HEAD", "/uploads/{upload}"): Verb(200, {"headers": TUS}),
    ("PATCH", "/uploads/{upload}"): Verb(204, PART),
    ("PUT", "/uploads/{upload}"): Verb(204, ENDING),
    ("POST", "/uploads/{upload}"): Verb(204, ENDING),
    ("DELETE", "/uploads/{upload}"): Verb(204, {}),
    ("POST", "/uploads/{upload}/complete"): Verb(409, {}),  # nothing is stored
    ("GET", "/{identity}"): Verb(200, {}),
    ("HEAD", "/{identity}"): Verb(200, {}),
    ("PATCH", "/{identity}"): Verb(200, {"json": {"title": "new"}}),
    ("DELETE", "/{identity}"): Verb(204, {}),
    ("GET", "/{identity}/file"): Verb(200, {}),
    ("HEAD", "/{identity}/file"): Verb(200, {}),
    ("PUT", "/{identity}/file"): Verb(200, FORM),
    ("DELETE", "/{identity}/file"): Verb(204, {}),
}


OF_A_ROW = [verb for verb, expected in VERBS.items() if expected.of_a_row]


async def send(site: Site, verb: tuple[str, str], identity: int, user: str | None) -> Response:
    """Send a verb's request."""
    method, path = verb
    options = dict(VERBS[verb].options)
    headers = options.pop("headers", {}) | ({} if user is None else as_user(user))
    upload = await upload_of(site, identity) if "{upload}" in path else ""
    url = f"/papers{path.format(identity=identity, upload=upload)}"
    return await site.client.request(method, url, headers=headers, **options)


async def upload_of(site: Site, identity: int) -> str:
    """Return an upload of Ann's, or of one that ended already in place of the row that was deleted."""
    upload = await begin(site.client, "/papers/uploads", headers=as_user("ann"))
    if identity == 3:
        await site.client.delete(upload["url"], headers=as_user("ann"))
    return str(upload["id"])


def test_the_matrix_has_every_verb() -> None:
    """A verb that is added to the router is one that these tests send, and whose scope runs."""
    router = Filestore(nothing).router(Paper, scope=own_papers, defaults={"owner": current_user}, uploads=True)
    routes = [route for route in router.routes if isinstance(route, APIRoute)]

    assert len(routes) == len(router.routes)
    verbs = {(method, route.path): route for route in routes for method in route.methods or ()}
    describing = {verb for verb in verbs if verb[0] == "OPTIONS"}  # what tus knows, which is the same for all
    in_parts = {
        verb for verb in verbs if verb[1].startswith("/uploads/s3/")
    }  # which need S3, and have tests of their own
    assert verbs.keys() - describing - in_parts == set(VERBS)
    assert all(own_papers in calls(verbs[verb].dependant) for verb in verbs.keys() - describing)


def calls(dependant: Dependant) -> Iterator[object]:
    """Iterate all that a route depends on."""
    for each in dependant.dependencies:
        yield each.call
        yield from calls(each)


@pytest.mark.parametrize("verb", VERBS)
async def test_owners_are_served(site: Site, verb: tuple[str, str]) -> None:
    """Every verb works on one's own row."""
    assert (await send(site, verb, 1, "ann")).status_code == VERBS[verb].status


@pytest.mark.parametrize("verb", VERBS)
async def test_nobody_is_served_nothing(site: Site, verb: tuple[str, str]) -> None:
    """Without a user each verb is the scope's own 401, headers included, and changes nothing."""
    before = await whole(site)
    refused, missing = await send(site, verb, 1, None), await send(site, verb, 3, None)

    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, CHALLENGE)
    assert (refused.content, refused.headers) == (missing.content, missing.headers)
    assert await whole(site) == before


@pytest.mark.parametrize("verb", OF_A_ROW)
async def test_rows_of_others_are_missing(site: Site, verb: tuple[str, str]) -> None:
    """Another user gets the 404 of a row that was never there, to the last header, and changes nothing."""
    before = await whole(site)
    refused, missing = await send(site, verb, 1, "bob"), await send(site, verb, 3, "bob")

    assert refused.status_code == missing.status_code == 404
    assert without_ids(refused) == without_ids(missing)
    assert refused.headers == missing.headers
    assert await whole(site) == before


def without_ids(response: Response) -> str:
    """Return a text that names no row and no upload."""
    return re.sub("id [13]|[A-Za-z0-9_-]{43}", "ID", response.text)


async def test_lists_have_ones_own_rows_only(site: Site) -> None:
    """Pages are full of one's own rows, whatever cursor comes with the request."""
    for _ in range(3):
        await post(site, "ann")
    cursor = (await site.client.get("/papers/?limit=2", headers=as_user("ann"))).json()["next_cursor"]
    pages = [
        (await site.client.get("/papers/", params=query, headers=as_user("bob"))).json()
        for query in ({}, {"limit": 1}, {"after": cursor}, {"limit": 1, "after": cursor})
    ]

    assert [[row["owner"] for row in page["items"]] for page in pages] == [["bob"]] * 4
    assert [page["next_cursor"] for page in pages] == [None] * 4


async def test_new_rows_get_their_owner(site: Site) -> None:
    """The value is the dependency's, through the router and by hand."""
    created = await post(site, "bob")
    by_hand = await site.client.post("/by-hand?title=t", headers=as_user("bob"))

    assert created.json()["owner"] == "bob"
    assert (await site.client.get(f"/papers/{by_hand.json()}", headers=as_user("bob"))).json()["owner"] == "bob"


async def test_clients_cannot_name_an_owner(site: Site) -> None:
    """What is given to new rows is no field of the form and none of a change."""
    before = await whole(site)
    created = await post(site, "bob", owner="ann")
    changed = await site.client.patch("/papers/2", json={"owner": "ann"}, headers=as_user("bob"))

    assert problem_in(created, 422, "invalid-fields")["errors"][0]["loc"] == ["owner"]
    assert problem_in(changed, 422, "invalid-fields")["errors"][0]["loc"] == ["owner"]
    assert await whole(site) == before


async def test_rows_that_would_leave_are_refused(site: Site) -> None:
    """A row that its writer could not see afterwards is a 403 and is not written: new, and changed."""
    await join(site, "ann", "red")
    paper = (await post(site, "ann", "/team-papers/", team="red")).headers["location"]
    before = await whole(site)
    created = await post(site, "ann", "/team-papers/", team="blue")
    changed = await site.client.patch(paper, json={"team": "blue"}, headers=as_user("ann"))

    problem_in(created, 403, "out-of-scope")
    problem_in(changed, 403, "out-of-scope")
    assert await whole(site) == before


async def test_a_condition_may_read_other_tables(site: Site) -> None:
    """Members of a team see its rows from the moment they join."""
    await join(site, "ann", "red")
    paper = (await post(site, "ann", "/team-papers/", team="red")).headers["location"]
    stranger = await site.client.get(paper, headers=as_user("bob"))
    await join(site, "bob", "red")
    member = await site.client.patch(paper, json={"title": "shared"}, headers=as_user("bob"))

    assert (stranger.status_code, member.status_code) == (404, 200)
    assert member.json()["owner"] == "ann"


async def join(site: Site, user: str, team: str) -> None:
    """Put a user into a team."""
    async with site.session() as session:
        session.add(Member(user=user, team=team))
        await session.commit()


async def test_routes_by_hand_have_the_scope(site: Site) -> None:
    """The service carries it, so a route has nothing to remember."""
    own, other = [await site.client.get("/by-hand/1", headers=as_user(user)) for user in ("ann", "bob")]

    assert (own.status_code, other.status_code) == (200, 404)


async def test_a_body_for_the_row_of_another_is_not_read(site: Site) -> None:
    """PUT answers before the first byte, for rows of others as for missing ones."""
    events: list[str] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def reading() -> Any:
            events.append("read")
            return await receive()

        async def answering(message: Any) -> None:
            events.append(message["type"])
            await send(message)

        await site.app(scope, reading, answering)

    site.client._transport.app = watched  # type: ignore[attr-defined]  # noqa: SLF001
    headers = as_user("bob") | {"Content-Type": "application/pdf"}
    for identity in (1, 3):
        events.clear()
        response = await site.client.put(f"/papers/{identity}/file", content=b"x" * 100_000, headers=headers)

        assert response.status_code == 404
        assert events[:2] == ["http.response.start", "http.response.body"]
