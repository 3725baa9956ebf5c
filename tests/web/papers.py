"""Papers of users and teams: an application in which each sees some rows only."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from httpx import Response
from sqlalchemy import ColumnElement, select

from fastapi_filestore import FileService, Filestore
from tests.web.conftest import Serve
from tests.web.models import Member, Paper
from tests.web.site import SIGNING_KEY, Site

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
        files.router(Paper, scope=own_papers, defaults={"owner": current_user}, uploads=True), prefix="/papers"
    )
    get_team_papers = files.service(TeamPapers, scope=team_papers, defaults={"owner": current_user})
    app.include_router(files.router(Paper, service=get_team_papers, uploads=True), prefix="/team-papers")
    app.include_router(files.signed_router())

    @app.get("/by-hand/{identity}")
    async def read(identity: int, service: Annotated[FileService[Paper], Depends(get_own_papers)]) -> str:
        return (await service.get(identity)).title

    @app.post("/by-hand", status_code=201)
    async def create(title: str, service: Annotated[FileService[Paper], Depends(get_own_papers)]) -> int:
        return (await service.create({"title": title})).id


def as_user(name: str) -> dict[str, str]:
    """Return the headers of a user."""
    return {"X-User": name}


@pytest.fixture
async def site(each_database: str | None, serve: Serve) -> AsyncIterator[Site]:
    """Papers on each database; the first one is Ann's, the second Bob's, the third was deleted."""
    async with serve(each_database, build=papers, shared=True, signing_keys=[SIGNING_KEY]) as site:
        for user in ("ann", "bob", "ann"):
            await post(site, user, content=user.encode())
        await site.client.delete("/papers/3", headers=as_user("ann"))
        yield site
        await site.check()


async def post(site: Site, user: str, path: str = "/papers/", content: bytes = b"content", **fields: str) -> Response:
    """Upload a paper."""
    form = {"title": f"of {user}"} | fields
    return await site.client.post(path, files={"file": ("a.txt", content)}, data=form, headers=as_user(user))


async def whole(site: Site) -> Any:
    """Return all rows and objects."""
    async with site.session() as session:
        rows = await session.execute(select(Paper.id, Paper.owner, Paper.team, Paper.title, Paper.file))
        return sorted(repr(row) for row in rows), await site.keys()
