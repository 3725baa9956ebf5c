"""Query parameters that nobody knows: taken no notice of, or refused by name if a setting says so."""

from collections.abc import AsyncIterator
from inspect import Parameter, Signature
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Security
from fastapi.security import APIKeyQuery
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, true
from starlette.routing import Host
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_filestore import FileObject, FileService, Filestore
from fastapi_filestore.web import known_queries
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in


class Choice(BaseModel):
    """Parameters in a model, under names of every kind."""

    model_config = ConfigDict(populate_by_name=True)

    plain: str = ""
    aliased: str = Field("", alias="al-iased")
    chosen: str = Field("", validation_alias=AliasChoices("one", "other"))


class Anything(BaseModel, extra="allow"):
    """Parameters of any name."""


def deepest(deep: Annotated[list[str], Query(alias="deep[]")] = []) -> None:  # noqa: B006 - FastAPI copies it
    """Take one that has an alias."""


def deeper(_: Annotated[None, Depends(deepest)], level: int = 0) -> None:
    """Depend on another one."""


def user(token: str = "") -> str:
    """Let in who has a token."""
    if token != "right":
        raise HTTPException(401)
    return token


def scope(_: Annotated[str, Depends(user)]) -> ColumnElement[bool]:
    """Depend on who asks."""
    return true()


class Own(FileService[Document]):
    """Documents."""

    sortable = ("title",)


def build(app: FastAPI, files: Filestore) -> None:
    """Mount routers with dependencies of every kind."""
    api_key = APIKeyQuery(name="api_key", auto_error=False)

    def choose(choice: Annotated[Choice, Query()]) -> None: ...
    def take_all(choice: Annotated[Anything, Query()]) -> None: ...
    def of_application(tenant: str = "") -> None: ...

    app.router.dependencies.append(Depends(of_application))
    app.include_router(files.router(Document, sortable=["title"], uploads=True), prefix="/documents")
    dependencies = [Depends(deeper), Security(api_key), Depends(choose)]
    app.include_router(files.router(Document, dependencies=dependencies), prefix="/dependent")
    app.include_router(files.router(Document), prefix="/included", dependencies=dependencies)
    app.include_router(files.router(Document, dependencies=[Depends(take_all)]), prefix="/anything")
    app.include_router(files.router(Document, scope=scope), prefix="/scoped")
    app.include_router(files.router(Document, service=own_service), prefix="/own")
    app.include_router(files.signed_router())


def own_service(q: str = "") -> Own:
    """Make a service without the library's own provider."""
    raise HTTPException(418)


class Around:
    """A middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass all on."""
        await self.app(scope, receive, send)


def nest(app: FastAPI, files: Filestore) -> None:
    """Include a router with a dependency of the include's own, in all that a route may lead to."""

    def included(name: str) -> APIRouter:
        def take(**_: str) -> None: ...

        parameters = [Parameter(name, Parameter.KEYWORD_ONLY, default="", annotation=str)]
        vars(take)["__signature__"] = Signature(parameters)
        (router := APIRouter()).include_router(shared, prefix="/documents", dependencies=[Depends(take)])
        return router

    shared = files.router(Document)
    (inner := FastAPI(exception_handlers=files.exception_handlers)).include_router(included("of_app"))
    (outer := APIRouter()).mount("/deep", included("of_deep"))
    app.mount("/router", included("of_router"))
    app.mount("/app", Around(inner))
    app.mount("/around", Around(included("of_around")))
    app.mount("/outer", outer)
    app.router.routes.append(Host("of.host", included("of_host")))


@pytest.fixture
async def strict(serve: Serve) -> AsyncIterator[Site]:
    """An application that refuses unknown parameters."""
    async with serve(build=build, unknown_query="refuse", signing_keys=[SIGNING_KEY]) as site:
        yield site
        await site.check()


async def status(site: Site, url: str, method: str = "GET", **options: Any) -> int:
    """Return the status of an answer."""
    return (await site.client.request(method, url, **options)).status_code


async def test_they_are_ignored_by_default(site: Site) -> None:
    """Trackers and caches add some, so nobody is refused for them unasked."""
    assert await status(site, "/documents/?utm_source=x&limt=3") == 200


KNOWN = [
    "/documents/?limit=3&sort=title",
    "/documents/?tenant=a",
    "/documents/?",
    "/documents?limit=1",
    *(
        f"{place}/?deep%5B%5D=a&deep%5B%5D=b&level=1&tenant=a&api_key=k&plain=a&al-iased=b&aliased=b&one=1&other=2&chosen=3"
        for place in ("/dependent", "/included")
    ),
    "/anything/?whatever=1",
    "/scoped/?token=right&limit=1",
]


@pytest.mark.parametrize("url", KNOWN)
async def test_what_a_dependency_knows_is_taken(strict: Site, url: str) -> None:
    """Parameters of the route, of dependencies of dependencies, of models and of security schemes are known."""
    assert await status(strict, url) == 200
    assert await status(strict, url, "HEAD") == 200


UNKNOWN = [
    ("GET", "/documents/?limt=3", "limt"),
    ("HEAD", "/documents/?limt=3", None),
    ("GET", "/documents/?Limit=3", "Limit"),
    ("GET", "/documents/?level=3", "level"),
    ("GET", "/documents/1?limit=3", "limit"),
    ("GET", "/documents/1/file?download=1", "download"),
    ("POST", "/documents/?title=x", "title"),
    ("DELETE", "/documents/1?force=1", "force"),
    ("PATCH", "/documents/1?title=x", "title"),
    ("PUT", "/documents/1/file?name=x", "name"),
    ("POST", "/documents/uploads?filename=a", "filename"),
    ("GET", "/documents/uploads/x?upload=a", "upload"),
    ("DELETE", "/documents/uploads/x?now=1", "now"),
    ("POST", "/documents/uploads/x/complete?now=1", "now"),
    ("GET", "/dependent/?deep=1", "deep"),
    ("GET", "/included/?sort=title", "sort"),
    ("GET", "/filestore?sig=x&utm=1", "utm"),
    ("PUT", "/filestore?sig=x&utm=1", "utm"),
    ("GET", "/scoped/?token=right&x=1", "x"),
    ("GET", "/own/?x=1", "x"),
    ("GET", "/documents/?=1", ""),
    ("GET", "/documents/?%00%F0=1", "\0\N{REPLACEMENT CHARACTER}"),
]


@pytest.mark.parametrize(("method", "url", "name"), UNKNOWN)
async def test_what_nobody_knows_is_refused_by_name(strict: Site, method: str, url: str, name: str | None) -> None:
    """Each route tells the name that it does not know."""
    answer = await strict.client.request(method, url)

    if name is None:
        assert (answer.status_code, answer.content) == (422, b"")
    else:
        assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"] == ["query", name]


async def test_the_known_ones_are_told(strict: Site) -> None:
    """Who misspelt one reads what there is."""
    problem = problem_in(await strict.client.get("/documents/?limt=3&ofset=2"), 422, "invalid-fields")

    assert [error["loc"] for error in problem["errors"]] == [["query", "limt"], ["query", "ofset"]]
    assert problem["errors"][0]["msg"] == "There is no such parameter; there is after, limit, sort, tenant"


async def test_who_is_not_let_in_is_told_that_first(strict: Site) -> None:
    """Authentication answers before anybody looks at names."""
    assert await status(strict, "/scoped/?x=1") == 401


async def test_a_replaced_dependency_has_its_own(strict: Site) -> None:
    """What a test puts in the place of a dependency is asked for what it knows, instead of that."""

    def fake(pretend: str = "") -> str:
        return pretend

    strict.app.dependency_overrides[user] = fake

    assert await status(strict, "/scoped/?pretend=alice") == 200
    assert await status(strict, "/scoped/?token=right") == 422


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://of.host", "of_host"),
        ("/router", "of_router"),
        ("/app", "of_app"),
        ("/around", "of_around"),
        ("/outer/deep", "of_deep"),
    ],
)
@pytest.mark.parametrize("is_noted", [True, False], ids=["noted", "walked"])
async def test_wherever_a_router_is_included(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, url: str, name: str, is_noted: bool
) -> None:
    """Parameters of the place where a router is included are known there, whatever leads to it."""
    if not is_noted:
        monkeypatch.setattr(known_queries, "NOTED", "nothing of the kind")
    async with serve(build=nest, unknown_query="refuse") as site:
        assert await status(site, f"{url}/documents/?limit=1&{name}=1") == 200
        assert await status(site, f"{url}/documents/?other=1") == 422


async def test_signed_urls_work(strict: Site) -> None:
    """A signed URL has the one parameter that its route knows."""
    file = await FileObject("web", "a.txt", content=b"signed").save_async()
    url = await file.sign_async()

    assert (await strict.client.get(url)).content == b"signed"
    await file.delete_async()


async def test_a_flood_of_names_is_a_short_answer(strict: Site) -> None:
    """Thousands of parameters are refused in one answer of limited length."""
    answer = await strict.client.get("/documents/?" + "&".join(f"{number}{'x' * 20}=1" for number in range(2000)))

    assert (answer.status_code, len(answer.content) < 64 * 1024) == (422, True)
