"""A service keeps to its scope, in memory and while others change rows; mistakes in a scope are told."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, exists, true

from fastapi_filestore import ConfigurationError, FileObject, FileService, Filestore, RowNotFoundError
from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.filestores import nothing
from tests.web.models import Document, Member, Paper
from tests.web.papers import as_user, current_user, own_papers, papers, post, site, whole
from tests.web.site import Site, problem_in

__all__ = ["site"]


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
        app.include_router(files.router(Paper, service=provider, uploads=True), prefix="/papers")

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
