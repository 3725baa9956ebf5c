"""Which declared types, names and first bytes can be those of one file, and which give a forger away."""

import pytest

from fastapi_filestore import TypeMismatchError, TypesAgree
from fastapi_filestore.intake.names import guess_content_type
from fastapi_filestore.intake.types.media_types import canonical_type, is_within, likely_type
from fastapi_filestore.intake.types.sniffing import sniff
from fastapi_filestore.intake.types.type_agreement import ranged_type, types_agree
from fastapi_filestore.intake.validators import Candidate
from tests.intake.declared import DECLARED
from tests.intake.heads import HEADS, HTML, NOISE, SVG, office, png

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
POLYGLOT = b"GIF89a\1\0\1\0\0\0\0\x2c" + b"/*\0*/=1;alert(1)//<script>alert(1)</script>"


def head(name: str) -> bytes:
    """Return a head of the corpus."""
    return HEADS[name][0]


def agree(declared: str | None, filename: str, content: bytes) -> bool:
    """Ask for a file as it comes in."""
    return types_agree(declared, sniff(content), guess_content_type(filename))


HONEST = {
    "as it should be": ("image/png", "a.png", png()),
    "in capitals": ("IMAGE/PNG", "A.PNG", png()),
    "with parameters": ("image/png; charset=binary", "a.png", png()),
    "declared as nothing": (None, "a.png", png()),
    "declared as bytes": ("application/octet-stream", "a.png", png()),
    "declared as nonsense": ("png", "a.png", png()),
    "without an extension": ("image/png", "a", png()),
    "only bytes": (None, "a", png()),
    "jpg": ("image/jpg", "a.jpg", head("jpeg")),
    "pjpeg": ("image/pjpeg", "a.jpeg", head("jpeg")),
    "x-png": ("image/x-png", "a.png", png()),
    "windows zip": ("application/x-zip-compressed", "a.zip", head("zip")),
    "windows csv": ("application/vnd.ms-excel", "a.csv", head("csv")),
    "x-pdf": ("application/x-pdf", "a.pdf", head("pdf")),
    "icon": ("image/vnd.microsoft.icon", "a.ico", head("ico")),
    "wave": ("audio/wave", "a.wav", head("wav")),
    "mp3": ("audio/mp3", "a.mp3", head("mp3")),
    "mp3 without tags": ("audio/mpeg", "a.mp3", head("mp3 without tags")),
    "docx": (DOCX, "a.docx", office("word")),
    "docx as zip": ("application/zip", "a.docx", office("word")),
    "docx that shows only zip": (DOCX, "a.docx", head("zip")),
    "docx with a password": (DOCX, "a.docx", head("doc")),
    "docx with macros": ("application/vnd.ms-word.document.macroEnabled.12", "a.docm", office("word")),
    "doc": ("application/msword", "a.doc", head("doc")),
    "doc that is rtf": ("application/msword", "a.doc", head("rtf")),
    "odt": (None, "a.odt", head("odt")),
    "jar": ("application/java-archive", "a.jar", head("jar")),
    "unknown format of an application": ("application/x-sketch", "a.sketch", head("zip")),
    "m4a": ("audio/x-m4a", "a.m4a", head("m4a")),
    "video declared as its container": ("video/mp4", "a.mp4", head("m4a")),
    "sound in webm": ("audio/webm", "a.weba", head("webm")),
    "opus": ("audio/ogg", "a.opus", head("ogg")),
    "text": ("text/plain; charset=utf-8", "a.txt", head("text")),
    "csv as text": ("text/plain", "a.csv", head("csv")),
    "json": ("application/json", "a.json", head("json")),
    "text of a kind that can't be told": ("text/x-python", "a.txt", head("text")),
    "text with strange bytes": ("text/plain", "a.log", NOISE),
    "markdown with html": ("text/markdown", "a.md", b"<h1 align=center>hello</h1>"),
    "typescript": ("video/mp2t", "a.ts", head("text")),
    "html": ("text/html", "a.html", HTML),
    "html of text": ("text/html", "a.html", head("text")),
    "xhtml as html": ("text/html", "a.html", head("xhtml")),
    "svg": ("image/svg+xml", "a.svg", SVG),
    "svg as xml": ("text/xml", "a.xml", head("svg with a prolog")),
    "feed": ("application/rss+xml", "a", head("xml")),
    "unknown": ("application/x-own", "a.own", NOISE),
    "polyglot as a picture": ("image/gif", "a.gif", POLYGLOT),
    "empty text": ("text/plain", "a.txt", b""),
    "unknown type of a known file": ("application/x-own", "a.png", png()),
    "unknown type of a page that its name tells of": ("application/x-own", "a.html", HTML),
    "unknown picture": ("image/x-own", "a", NOISE),
    "table that is packed": ("text/csv", "a.csv.gz", head("gz")),
    "archive that is packed": ("application/x-tar", "a.tar.bz2", head("bz2")),
    "film of a phone": ("video/3gpp", "a.3gp", head("3gp")),
    "sound of a phone": ("audio/3gpp", "a.3gp", head("3gp")),
    "sound of a phone by another name": ("audio/mpeg", "a.m4a", head("m4a")),
    "pdf behind a printer's words": ("application/pdf", "a.pdf", head("pdf behind a printer's words")),
    "pdf behind noise": ("application/pdf", "a.pdf", head("pdf behind noise")),
    "table of before ole": ("application/vnd.ms-excel", "a.xls", b"\x09\0\4\0\2\0\x10\0" + b"\0" * 90),
    "sound of before brands": ("audio/mp4", "a.m4a", b"\0\1\0\0mdat" + b"\0" * 90),
    "installer": ("application/x-msdownload", "a.msi", head("doc")),
    "page as text that its name tells of": ("text/plain", "a.html", HTML),
    "page as text that its name does not call text": ("text/plain", "README", HTML),
    "svg as text that its name tells of": ("text/plain", "a.svg", SVG),
    "svg as text in a file of xml": ("text/plain", "a.xml", SVG),
    "text about pdf": ("text/plain", "a.txt", head("text about pdf")),
    "program that writes a pdf": ("text/x-python", "a.py", head("program that writes a pdf")),
    "translations": ("application/vnd.ms-powerpoint", "a.pot", head("text")),
    "page of excel": ("application/vnd.ms-excel", "a.xls", HTML),
    "xml that begins with a comment": ("text/xml", "a.xml", b"<!-- c --><project/>"),
}

FORGED = {
    "html as png": ("image/png", "a.png", HTML),
    "html as png, by name only": (None, "a.png", HTML),
    "html as png, declared only": ("image/png", "a", HTML),
    "html as text": ("text/plain", "a.txt", HTML),
    "html as text by name only": (None, "a.txt", HTML),
    "html as text of a kind": ("text/plain", "a.csv", HTML),
    "svg as text of a kind": ("text/csv", "a.svg", SVG),
    "html as text named as a picture": ("text/plain", "a.png", HTML),
    "picture as an old document": ("application/msword", "a.docx", png()),
    "docx as an old table": ("application/vnd.ms-excel", "a.xls", office("word")),
    "docx as old slides": ("application/vnd.ms-powerpoint", "a", office("word")),
    "jpeg as an icon": ("image/x-icon", "a.ico", head("jpeg")),
    "sound of a phone as a picture": ("image/png", "a.png", head("amr")),
    "text about pdf as one": ("application/pdf", "a.pdf", head("text about pdf")),
    "html as pdf": ("application/pdf", "a.pdf", HTML),
    "html as an unknown type": ("application/x-own", "a.own", HTML),
    "html behind white space": ("image/png", "a.png", b"\n\n  <ScRiPt >alert(1)"),
    "html in utf-16": ("image/png", "a.png", head("html in utf-16")),
    "html that no browser would sniff": ("image/png", "a.png", b"<img src=x onerror=alert(1)>"),
    "svg as png": ("image/png", "a.png", SVG),
    "svg as text": ("text/plain", "a.txt", SVG),
    "xml as png": ("image/png", "a.png", head("xml")),
    "png as html": ("text/html", "a.html", png()),
    "png named html": ("image/png", "a.html", png()),
    "png named svg": ("image/png", "a.svg", png()),
    "png as jpeg": ("image/jpeg", "a.png", png()),
    "docx as xlsx": (None, "a.xlsx", office("word")),
    "docx named xlsx": (DOCX, "a.xlsx", office("word")),
    "zip as png": ("image/png", "a.png", head("zip")),
    "program as pdf": ("application/pdf", "a.pdf", head("exe")),
    "program as text": ("text/plain", "a.txt", head("exe")),
    "program as docx": (DOCX, "a.docx", head("exe")),
    "text as png": ("image/png", "a.png", head("text")),
    "text as docx": (DOCX, "a.docx", head("text")),
    "noise as png": ("image/png", "a.png", NOISE),
    "noise as docx": (None, "a.docx", NOISE),
    "nothing as png": ("image/png", "a.png", b""),
    "text in two parts": ("text/html; image/png", "a.png", png()),
    "csv named html": ("text/csv", "a.html", head("csv")),
    "polyglot as html": ("text/html", "a.html", POLYGLOT),
    "polyglot as a script": ("text/javascript", "a.js", POLYGLOT),
    "polyglot that is all text": ("image/gif", "a.gif", b"GIF89a=1;alert(1)"),
    "picture that is an archive": ("image/gif", "a.jar", POLYGLOT),
    "picture as flash": ("video/x-flv", "a.flv", png()),
    "picture as a program": ("application/x-msdownload", "a.exe", png()),
    "packed table that is a page": ("text/csv", "a.csv.gz", HTML),
    "page of an unknown picture": ("image/x-own", "a", HTML),
    "picture of an unknown type": ("application/x-own", "a", SVG),
    "svg as a packed file": (None, "a.gz", SVG),
    "sound as a film": ("video/mp4", "a.mp4", head("mp3")),
    "targa as an icon": ("image/x-icon", "a.ico", head("targa")),
    "pdf behind html": ("application/pdf", "a.pdf", b"<html>%PDF-1.7"),
    "pdf behind noise": ("application/pdf", "a.pdf", b"\0\1\2%PDF-1.7"),
}


def test_what_clients_honestly_send_agrees() -> None:
    """Other names of one type, special cases of what shows, and what can't be told from bytes."""
    assert [case for case, file in HONEST.items() if not agree(*file)] == []


def test_what_registries_declare_agrees() -> None:
    """Old names, those of vendors and of kin, and no name at all: each is what some system declares such a file as."""
    refused = [
        (declared, name, case)
        for name, case, types in DECLARED
        for declared in (*types.split(), None, "application/octet-stream")
        if not agree(declared, name, head(case))
    ]

    assert refused == []


def test_what_contradicts_itself_is_seen() -> None:
    """Whichever of the three is the forged one."""
    assert [case for case, file in FORGED.items() if agree(*file)] == []


def test_every_file_agrees_with_its_own_type() -> None:
    """What the bytes are of can be declared."""
    assert [name for name, (head, expected) in HEADS.items() if not agree(expected, "a", head)] == []


async def test_the_validator_says_what_contradicts_what() -> None:
    """The error has all three types, a missing one as None."""
    forged = Candidate("a.jpg", "image/png; x=y", "text/html", "image/png")
    with pytest.raises(TypeMismatchError, match="text/html") as caught:
        await TypesAgree().validate(b"<html>", forged)
    with pytest.raises(TypeMismatchError) as silent:
        await TypesAgree().validate(b"<html>", Candidate("a.jpg", None, "text/html", "image/jpeg"))

    error = caught.value
    assert (error.declared, error.sniffed, error.extension) == ("image/png; x=y", "text/html", "image/jpeg")
    assert silent.value.declared is None


async def test_what_is_not_known_contradicts_nothing() -> None:
    """Without a sniffed type, the other two still have to agree."""
    await TypesAgree().validate(b"", Candidate("a.png", "image/png", None, "image/png"))

    assert not types_agree("image/png", None, "text/html")


def test_names_of_one_type_are_compared_as_one() -> None:
    """Whoever takes image/jpeg takes image/jpg; a wildcard is of the type as it is spelt."""
    assert is_within("image/JPG; q=1", ["image/jpeg"])
    assert is_within("application/x-zip-compressed", ["application/zip"])
    assert not is_within("application/javascript", ["text/*"])
    assert canonical_type("audio/x-wav") == canonical_type("audio/wav")


def test_the_first_type_that_says_anything_is_kept() -> None:
    """Declared, named, sniffed; a type that says nothing is passed over."""
    assert likely_type("image/png", "a.jpg", "image/gif") == "image/png"
    assert likely_type("application/octet-stream", "a.jpg", "image/gif") == "image/jpeg"
    assert likely_type(None, "a", "image/gif") == "image/gif"
    assert likely_type("nonsense", "a", "application/octet-stream") == "application/octet-stream"
    assert likely_type(None, "a", None) == "application/octet-stream"
    assert likely_type("Multipart/Form-Data; boundary=b", "a.jpg", "image/gif") == "image/jpeg"


def test_a_type_that_nobody_knows_is_judged_by_its_bytes() -> None:
    """Where a range is asked for, it is what its bytes plainly are, if they are; a known one is what it says."""
    assert ranged_type("image/x-own", "application/x-msdownload") == "application/x-msdownload"
    assert ranged_type("image/x-own", "application/octet-stream") == "image/x-own"
    assert ranged_type("image/x-own", "text/plain") == "image/x-own"
    assert ranged_type("application/x-own", "application/zip") == "application/x-own"
    assert ranged_type("image/x-own", "application/zip") == "application/zip"
    assert ranged_type("image/png", "image/apng") == "image/png"
    assert ranged_type("image/x-own", None) == "image/x-own"
