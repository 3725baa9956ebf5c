"""Whose rows a request may see and change: every verb, for the owner, for another user, and for nobody."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from httpx import Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, exists, select, true

from fastapi_filestore import ConfigurationError, FileObject, FileService, Filestore, RowNotFoundError
from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.models import Document, Member, Paper
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.test_filestore import nothing

CHALLENGE = 'Bearer realm="papers"'


async def current_user(x_user: Annotated[str | None, Header()] = None) -> str:
    """Return who asks."""
    if x_user is None:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": CHALLENGE})
    return x_user


def own_papers(user: Annotated[str, Depends(current_user)]) -> ColumnElement[bool]:
    """Let users see what they own."""
    return Paper.owner == user


async def team_papers(user: Annotated[str, Depends(current_user)]) -> AsyncIterator[ColumnElement[bool]]:
    """Let users see what belongs to one of their teams."""
    yield Paper.team.in_(select(Member.team).where(Member.user == user))


class TeamPapers(FileService[Paper]):
    """A service of one's own."""


def papers(app: FastAPI, files: Filestore) -> None:
    """Mount papers by owner and by team, and routes written by hand."""
    get_own_papers = files.service(Paper, scope=own_papers, defaults={"owner": current_user})
    app.include_router(
        files.router(Paper, scope=own_papers, defaults={"owner": current_user}, upload_url=True), prefix="/papers"
    )
    get_team_papers = files.service(TeamPapers, scope=team_papers, defaults={"owner": current_user})
    app.include_router(files.router(Paper, service=get_team_papers, upload_url=True), prefix="/team-papers")

    @app.get("/by-hand/{identity}")
    async def read(identity: int, service: Annotated[FileService[Paper], Depends(get_own_papers)]) -> str:
        return (await service.get(identity)).title

    @app.post("/by-hand", status_code=201)
    async def create(title: str, service: Annotated[FileService[Paper], Depends(get_own_papers)]) -> int:
        return (await service.create({"title": title})).id


def as_user(name: str) -> dict[str, str]:
    """Return the headers of a user."""
    return {"X-User": name}


@pytest.fixture(params=["sqlite", "postgres"])
async def site(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Site]:
    """Papers on each database; the first one is Ann's, the second Bob's, the third was deleted."""
    postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_database").url("postgresql+asyncpg") if postgres else None
    async with serve(url, build=papers, shared=True, signing_keys=[SIGNING_KEY]) as site:
        for user in ("ann", "bob", "ann"):
            await post(site, user, content=user.encode())
        await site.client.delete("/papers/3", headers=as_user("ann"))
        yield site
        await site.check()


async def post(site: Site, user: str, path: str = "/papers/", content: bytes = b"content", **fields: str) -> Response:
    """Upload a paper."""
    form = {"title": f"of {user}"} | fields
    return await site.client.post(path, files={"file": ("a.txt", content)}, data=form, headers=as_user(user))


# -- the matrix ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verb:
    """A request that each verb of the router gets, and what the owner of the row is answered."""

    status: int
    options: dict[str, Any]
    of_a_row: bool = True


FORM: dict[str, Any] = {"files": {"file": ("b.txt", b"new")}}
VERBS = {
    ("POST", "/"): Verb(201, FORM | {"data": {"title": "t"}}, of_a_row=False),
    ("GET", "/"): Verb(200, {}, of_a_row=False),
    ("HEAD", "/"): Verb(200, {}, of_a_row=False),
    ("POST", "/upload-url"): Verb(200, {"params": {"filename": "a"}}, of_a_row=False),
    ("GET", "/{identity}"): Verb(200, {}),
    ("HEAD", "/{identity}"): Verb(200, {}),
    ("PATCH", "/{identity}"): Verb(200, {"json": {"title": "new"}}),
    ("DELETE", "/{identity}"): Verb(204, {}),
    ("GET", "/{identity}/file"): Verb(200, {}),
    ("HEAD", "/{identity}/file"): Verb(200, {}),
    ("PUT", "/{identity}/file"): Verb(200, FORM),
}
OF_A_ROW = [verb for verb, expected in VERBS.items() if expected.of_a_row]


async def send(site: Site, verb: tuple[str, str], identity: int, user: str | None) -> Response:
    """Send a verb's request."""
    method, path = verb
    headers = {} if user is None else as_user(user)
    return await site.client.request(
        method, f"/papers{path.format(identity=identity)}", headers=headers, **VERBS[verb].options
    )


def test_the_matrix_has_every_verb() -> None:
    """A verb that is added to the router is one that these tests send, and whose scope runs."""
    router = Filestore(nothing).router(Paper, scope=own_papers, defaults={"owner": current_user}, upload_url=True)
    routes = [route for route in router.routes if isinstance(route, APIRoute)]

    assert len(routes) == len(router.routes)
    assert {(method, route.path) for route in routes for method in route.methods or ()} == set(VERBS)
    assert all(own_papers in calls(route.dependant) for route in routes)


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
    assert refused.text.replace("id 1", "id 3") == missing.text
    assert refused.headers == missing.headers
    assert await whole(site) == before


async def whole(site: Site) -> Any:
    """Return all rows and objects."""
    async with site.session() as session:
        rows = await session.execute(select(Paper.id, Paper.owner, Paper.team, Paper.title, Paper.file))
        return sorted(repr(row) for row in rows), await site.keys()


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


# -- what becomes of new and changed rows --------------------------------------------------------------


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


# -- the service by itself -----------------------------------------------------------------------------


async def test_a_service_keeps_to_its_scope(site: Site) -> None:
    """Every method finds the rows of its scope only."""
    async with site.session() as session:
        service = FileService(session, model=Paper, scope=Paper.owner == "bob")
        for call in (
            lambda: service.get(1),
            lambda: service.get((1,)),
            lambda: service.get({"id": 1}),
            lambda: service.require(1),
            lambda: service.update(1, {"title": "t"}),
            lambda: service.replace(1, None),
            lambda: service.delete(1),
            lambda: service.file(1),
            lambda: service.open(1),
            lambda: service.url(1),
        ):
            with pytest.raises(RowNotFoundError):
                await call()

        assert [row.id for row in (await service.list()).items] == [2]
        assert (await service.get({"id": 2})).owner == (await service.get((2,))).owner == "bob"


async def test_a_row_in_memory_is_not_proof(site: Site) -> None:
    """What the session has loaded before is asked for all the same."""
    async with site.session() as session:
        await session.get(Paper, 1)
        with pytest.raises(RowNotFoundError):
            await FileService(session, model=Paper, scope=Paper.owner == "bob").get(1)


async def test_a_refused_row_is_not_committed_later(site: Site) -> None:
    """Whoever catches the error and commits, commits nothing of it."""
    before = await whole(site)
    async with site.session() as session:
        service = FileService(session, model=Paper, scope=Paper.owner == "bob")
        for refused in (
            service.create({"title": "t", "owner": "ann", "file": FileObject(content=b"content")}),
            service.create(Paper(title="t", owner="ann")),
            service.update(2, {"owner": "ann"}),
        ):
            with pytest.raises(PermissionError):
                await refused
            await service.commit()

    assert await whole(site) == before


async def test_defaults_fill_what_is_not_given(site: Site) -> None:
    """Code may say otherwise, as far as the scope goes."""
    async with site.session() as session:
        service = FileService(session, model=Paper, defaults={"owner": "bob"})
        owners = [
            (await service.create({"title": "t"})).owner,
            (await service.create(Paper(title="t"))).owner,
            (await service.create({"title": "t", "owner": "ann"})).owner,
            (await service.create(Paper(title="t", owner="ann"))).owner,
        ]

    assert owners == ["bob", "bob", "ann", "ann"]


async def test_a_row_that_is_given_away_meanwhile_is_lost(serve: Serve, postgres_database: Postgres) -> None:
    """The row is locked within the scope before it is written, so who lost it can no longer change or delete it."""
    async with serve(postgres_database.url("postgresql+asyncpg"), build=papers) as site:
        await post(site, "ann")
        for work in ({"method": "DELETE"}, {"method": "PATCH", "json": {"title": "mine"}}):
            async with site.session() as session:
                paper = await session.get(Paper, 1)
                paper.owner = "bob"
                await session.flush()
                waiting = asyncio.create_task(site.client.request(url="/papers/1", headers=as_user("ann"), **work))
                await asyncio.sleep(0.2)
                await session.commit()
            assert (await waiting).status_code == 404
            async with site.session() as session:
                (await session.get(Paper, 1)).owner = "ann"
                await session.commit()


# -- what is no scope ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "remedy"),
    [
        (lambda: None, "no condition"),
        (lambda: True, "no condition"),
        (lambda: Paper.team == Member.team, "exists"),
    ],
)
async def test_what_is_no_condition_shows_nothing(
    serve: Serve, scope: Any, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A forgotten return, a comparison of Python's or a join is an error for every request, and says the remedy."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Paper, scope=scope), prefix="/papers")

    async with serve(build=build) as site:
        response = await site.client.get("/papers/")

        problem_in(response, 500, "invalid-scope")
        assert remedy in caplog.text


@pytest.mark.parametrize("scope", [true(), exists().where(Member.team == Paper.team), Paper.title == "t"])
def test_conditions_of_every_kind_are_scopes(scope: ColumnElement[bool]) -> None:
    """True for all rows, EXISTS on another table, a comparison."""
    session: Any = None

    assert FileService(session, model=Paper, scope=scope).scope is scope


async def test_a_subclass_cannot_drop_the_scope(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A constructor that keeps the scope to itself is an error, not a service of all rows."""

    class Forgetful(FileService[Paper]):
        def __init__(self, session: Any, **ignored: Any) -> None:
            super().__init__(session)

    def build(app: FastAPI, files: Filestore) -> None:
        provider = files.service(Forgetful, scope=own_papers)
        app.include_router(files.router(Paper, service=provider, upload_url=True), prefix="/papers")

    async with serve(build=build) as site:
        problem_in(await site.client.get("/papers/", headers=as_user("ann")), 500, "invalid-scope")
        assert "pass scope=" in caplog.text


class Everything(BaseModel):
    """A user's model that has too much."""

    title: str
    owner: str


class Anything(BaseModel):
    """A user's model that takes whatever comes."""

    model_config = ConfigDict(extra="allow")

    title: str = "t"


def test_mistakes_are_told_at_the_start() -> None:
    """A default that the model lacks or that a schema lets clients set, and a scope beside a provider that has one."""
    files = Filestore(nothing)
    owner = {"owner": current_user}
    with pytest.raises(ConfigurationError, match="nonsense"):
        files.router(Paper, defaults={"nonsense": current_user})
    with pytest.raises(ConfigurationError, match=r"Everything\.owner"):
        files.router(Paper, defaults=owner, create=Everything)
    with pytest.raises(ConfigurationError, match=r"Everything\.owner"):
        files.router(Paper, defaults=owner, update=Everything)
    with pytest.raises(ConfigurationError, match=r"files\.service"):
        files.router(Paper, service=files.service(Paper), scope=own_papers)
    with pytest.raises(ConfigurationError, match="nonsense"):
        files.service(Document, defaults={"nonsense": current_user})


async def test_a_schema_that_takes_anything_takes_no_owner(serve: Serve) -> None:
    """Extra fields are refused where the application sets them."""

    def build(app: FastAPI, files: Filestore) -> None:
        router = files.router(Paper, defaults={"owner": current_user}, create=Anything, update=Anything)
        app.include_router(router, prefix="/papers")

    async with serve(build=build) as site:
        refused = await post(site, "bob", owner="ann")
        created = await post(site, "bob", team="red")
        changed = await site.client.patch("/papers/1", json={"owner": "ann"}, headers=as_user("bob"))

        assert (created.json()["owner"], created.json()["team"]) == ("bob", "red")
        for response in (refused, changed):
            assert problem_in(response, 422, "invalid-fields")["errors"][0]["type"] == "reserved"
