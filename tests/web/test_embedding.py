"""Files in a browser's pages: who may embed them, and what is shown in place."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from playwright.async_api import Browser, Page, async_playwright

from fastapi_filestore import FileService, Filestore
from tests.example_app.conftest import FLAGS
from tests.intake.heads import png
from tests.web.conftest import Serve
from tests.web.departing import serving
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site

HOSTS = "--host-resolver-rules=MAP *.test 127.0.0.1"
FILES, BESIDE, ELSEWHERE = "files.example.test", "www.example.test", "www.other.test"
BLUE_PAGE = b"""%PDF-1.7
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>endobj
4 0 obj<</Length 28>>stream
0 0 1 rg 0 0 600 800 re f
endstream endobj
trailer<</Root 1 0 R/Size 5>>
%%EOF
"""
COUNT_BLUE = """async source => {
    const picture = new Image(); picture.src = source; await picture.decode();
    const canvas = document.createElement("canvas"); canvas.width = picture.width; canvas.height = picture.height;
    const context = canvas.getContext("2d"); context.drawImage(picture, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data; let blue = 0;
    for (let at = 0; at < data.length; at += 4) blue += data[at] < 9 && data[at + 1] < 9 && data[at + 2] > 246;
    return blue;
}"""


def build(app: FastAPI, files: Filestore) -> None:
    """Serve one document in every way, and a page that embeds what it is told."""
    get_documents = files.service(Document)
    routes = APIRouter()

    @routes.get("/page", response_class=HTMLResponse)
    async def page(picture: str) -> str:
        return f"<!doctype html><img src='{picture}'>"

    @routes.get("/public/{identity}")
    async def public(
        identity: int, request: Request, service: Annotated[FileService[Document], Depends(get_documents)]
    ) -> Response:
        return await files.download(request, await service.file(identity), visibility="public")

    @routes.get("/own/{identity}")
    async def own(
        identity: int, request: Request, service: Annotated[FileService[Document], Depends(get_documents)]
    ) -> Response:
        return await files.download(request, await service.file(identity), cross_origin="same-origin")

    @routes.get("/signed/{identity}")
    async def signed(identity: int, service: Annotated[FileService[Document], Depends(get_documents)]) -> str:
        return await service.url(identity)

    app.include_router(routes)
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(Document, cross_origin="cross-origin"), prefix="/open")
    app.include_router(files.signed_router())
    app.mount("/guarded", _guarded(files))


def _guarded(files: Filestore) -> FastAPI:
    app = FastAPI()
    app.include_router(files.signed_router(cross_origin="same-site"))
    return app


@dataclass(frozen=True, slots=True)
class Served:
    """A site on a port, that every host of `.test` leads to."""

    site: Site
    port: int

    def at(self, host: str, path: str) -> str:
        """Return the URL of a path at a host."""
        return f"http://{host}:{self.port}{path}"

    async def store(self, name: str, content: bytes, content_type: str) -> int:
        """Store a document and return its key."""
        answer = await self.site.upload(filename=name, content=content, content_type=content_type)
        key: int = answer.raise_for_status().json()["id"]
        return key


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
    """The site behind a server."""
    async with serve(build=build, signing_keys=[SIGNING_KEY], shared=True) as site, serving(site) as port:
        yield Served(site, port)


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A Chromium for which every host of `.test` is this machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, HOSTS])
        yield browser
        await browser.close()


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """A page without a past."""
    async with await browser.new_context() as context:
        yield await context.new_page()


async def is_shown(tab: Page, page: str, picture: str) -> bool:
    """Tell whether a page shows a picture."""
    await tab.goto(f"{page}?picture={picture.replace('?', '%3F').replace('=', '%3D')}")
    shown: bool = await tab.evaluate("document.querySelector('img').naturalWidth > 0")
    return shown


@pytest.mark.parametrize(
    ("path", "beside", "elsewhere"),
    [
        ("/documents/{}/file", True, False),
        ("/own/{}", False, False),
        ("/public/{}", True, True),
        ("/open/{}/file", True, True),
        ("/filestore?sig={}", True, True),
        ("/guarded/filestore?sig={}", True, False),
    ],
)
async def test_a_page_of_another_host_shows_a_picture(
    served: Served, tab: Page, path: str, beside: bool, elsewhere: bool
) -> None:
    """A host of its own for files works with the pages of the same site; a page of another site needs leave."""
    key: int | str = await served.store("a.png", png(), "image/png")
    if "sig=" in path:
        key = str((await served.site.client.get(f"/signed/{key}")).json()).partition("sig=")[2]
    picture = served.at(FILES, path.format(key))

    assert await is_shown(tab, served.at(FILES, "/page"), picture)
    assert await is_shown(tab, served.at(BESIDE, "/page"), picture) is beside
    assert await is_shown(tab, served.at(ELSEWHERE, "/page"), picture) is elsewhere


async def test_a_pdf_is_shown_in_place(served: Served, tab: Page, browser: Browser) -> None:
    """The browser's viewer opens it by its link, and its page is seen."""
    key = await served.store("a.pdf", BLUE_PAGE, "application/pdf")
    await tab.goto(served.at(FILES, f"/documents/{key}/file"))
    looker = await browser.new_page()
    blue = 0
    while blue < 10_000:  # until its pages are drawn; the test's time ends it else
        seen = b64encode(await tab.screenshot()).decode()
        blue = await looker.evaluate(COUNT_BLUE, f"data:image/png;base64,{seen}")
    await looker.close()

    assert [frame.url for frame in tab.frames if frame.url.startswith("chrome-extension:")]
