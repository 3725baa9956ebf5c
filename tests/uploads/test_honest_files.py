"""Files of real programs, declared as real systems do: none is refused, and none passes for what it is not."""

import csv
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated
from zipfile import ZipFile

import pytest
from fastapi import Depends, FastAPI

from fastapi_filestore import FileService, Filestore, Upload
from fastapi_filestore.intake.names import guess_content_type
from fastapi_filestore.intake.types.sniffing import sniff
from fastapi_filestore.intake.types.type_agreement import types_agree
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site

CORPUS = Path(__file__).with_name("corpus")
SAYS_NOTHING = (
    None, "", "file", "*/*", "image/*", "application/octet-stream", "binary/octet-stream", "multipart/form-data",
    "application/x-www-form-urlencoded", "application/unknown", "application/force-download", "application/x-download",
)  # fmt: skip
PAGES = ("page2.php", "x.xhtml")
"""What a browser would run, under a name that does not say so here."""
UNKNOWN = ("application/x-own", "application/vnd.example.own+binary", "image/x-own", "x-world/x-own")


@dataclass(frozen=True, slots=True)
class Honest:
    """A file, and the types that each system declares it as."""

    name: str
    program: str
    head: bytes
    declared: Mapping[str, tuple[str, ...]]

    @property
    def types(self) -> list[str]:
        """All of these types."""
        return sorted({each for types in self.declared.values() for each in types})


@cache
def corpus() -> Mapping[str, Honest]:
    """Return the files by their names."""
    return {honest.name: honest for honest in _read()}


def _read() -> Iterator[Honest]:
    with ZipFile(CORPUS / "files.zip") as archive, (CORPUS / "files.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            name, program = row.pop("name"), row.pop("program")
            declared = {system: tuple(types.split()) for system, types in row.items() if types != "-"}
            yield Honest(name, program, archive.read(name), declared)


def refused(honest: Honest, *declared: str | None) -> list[str | None]:
    """Return the types that a file is refused for."""
    shown, named = sniff(honest.head), guess_content_type(honest.name)
    return [each for each in declared if not types_agree(each, shown, named)]


def test_the_corpus_is_of_many_programs() -> None:
    """Every file is listed, with who wrote it, and most with what systems declare it as."""
    files = corpus()
    with ZipFile(CORPUS / "files.zip") as archive:
        names = archive.namelist()

    assert names == list(files)
    assert len(files) >= 400
    assert len({honest.program for honest in files.values()}) >= 80
    assert sum(len(honest.types) for honest in files.values()) >= 1300


def test_no_honest_file_is_refused() -> None:
    """Whatever Windows, macOS, Linux, Android or a library declares it as, and if nothing is declared."""
    tried = {name: refused(honest, *honest.types, *SAYS_NOTHING) for name, honest in corpus().items()}

    assert {name: types for name, types in tried.items() if types} == {}


def test_an_unknown_type_contradicts_nothing() -> None:
    """What nobody here has heard of may be what the file is; a page that its name does not tell of is another thing."""
    tried = {name: refused(honest, *UNKNOWN) for name, honest in corpus().items()}

    assert {name: types for name, types in tried.items() if types} == {name: list(UNKNOWN) for name in PAGES}


PASSES = {
    "application/gzip": {"gz", "tgz", "svgz"},
    "application/pdf": {"pdf"},
    "application/x-7z-compressed": {"7z", "001"},
    "audio/flac": {"flac", "mp3"},  # which may begin with the same tags
    "audio/midi": {"mid", "midi"},
    "audio/ogg": {"ogg", "oga", "ogv", "opus"},
    "audio/wav": {"wav", "rf64"},
    "font/woff2": {"woff2"},
    "image/bmp": {"bmp", "dib"},
    "image/gif": {"gif"},
    "image/jpeg": {"jpg", "jpeg", "jpe", "mpo", "mjpeg", "jls"},
    "image/png": {"png", "apng"},
    "image/tiff": {"tif", "tiff", "dng"},
    "image/webp": {"webp"},
    "image/x-icon": {"ico", "png"},  # which is what is in an icon, and what Windows takes for one
    "video/mp4": {"mp4", "mov", "m4v", "3gp", "3gpp", "3g2", "f4v", "m4a", "m4b", "m4r", "m4s"},
    "video/webm": {"webm", "mkv", "mka", "weba"},
    "video/x-msvideo": {"avi", "divx"},
}
"""Endings of the files that may be declared as a type."""


def test_a_file_passes_for_nothing_else() -> None:
    """Of all files, those of the type and of its kin are taken for it; none that shows what it is, or shows nothing."""
    shown = [(name.rpartition(".")[2], sniff(honest.head)) for name, honest in corpus().items()]

    assert {kind: {ending for ending, each in shown if types_agree(kind, each, None)} for kind in PASSES} == PASSES


def build(app: FastAPI, files: Filestore) -> None:
    """Add a route that sniffs, and one that does not."""
    get_documents = files.service(Document)
    for path, taken in (
        ("/sniffing", files.upload(sniff=True)),
        ("/believing", files.upload()),
        ("/pictures", files.upload(content_types=["image/*"])),
    ):

        @app.post(path, status_code=201)
        async def keep(
            upload: Annotated[Upload, Depends(taken)],
            service: Annotated[FileService[Document], Depends(get_documents)],
        ) -> str | None:
            row = await service.create({"title": upload.filename, "file": upload})
            return row.file.content_type if row.file else None

    for kind, handler in files.exception_handlers.items():
        app.add_exception_handler(kind, handler)


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """A site with these routes."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


async def test_a_route_that_sniffs_takes_them(site: Site) -> None:
    """Each file of the corpus is sent as a form's, declared as the first system does."""
    answers = {
        honest.name: await site.client.post(
            "/sniffing", files={"file": (honest.name, honest.head, (honest.types or ["application/octet-stream"])[0])}
        )
        for honest in list(corpus().values())[::8]
    }

    assert {name: answer.text for name, answer in answers.items() if answer.status_code != 201} == {}


@pytest.mark.parametrize("path", ["/sniffing", "/believing"])
@pytest.mark.parametrize("declared", SAYS_NOTHING[3:])
async def test_a_type_that_says_nothing_is_replaced(site: Site, path: str, declared: str) -> None:
    """By what the name says, or the bytes; a file that neither tells of is kept as bytes."""
    picture = corpus()["picture.png"].head
    sent = {
        "a.jpg": corpus()["photo.jpg"].head,
        "a": picture,
        "report.docx": corpus()["python.docx"].head,
        "b": b"\0" * 9,
    }
    kept = [
        (await site.client.post(path, files={"file": (name, content, declared)})).json()
        for name, content in sent.items()
    ]
    docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

    assert kept == ["image/jpeg", "image/png", docx, "application/octet-stream"]


async def test_bytes_speak_where_nothing_else_does(site: Site) -> None:
    """A route that asks for pictures takes one whose sender and name say nothing, and refuses what else is sent so."""
    for name, status in {"picture.png": 201, "report.pdf": 415, "note.txt": 415, "t.parquet": 415}.items():
        sent = {"file": ("upload", corpus()[name].head, "multipart/form-data")}
        answer = await site.client.post("/pictures", files=sent)

        assert (name, answer.status_code) == (name, status)
