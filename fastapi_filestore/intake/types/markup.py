"""Find markup that a browser may run, in first bytes as browsers find it; libraries of signatures don't look for it.

The tags are those of the WHATWG MIME Sniffing standard, section 7.1 (https://mimesniff.spec.whatwg.org/
#identifying-a-resource-with-an-unknown-mime-type), which asks not to add any. It knows no SVG: a browser takes that for
XML, so here the root element decides. A byte order mark, which the standard takes for plain text, hides nothing.
"""

import codecs
import re

HTML, XML, SVG, XHTML = "text/html", "text/xml", "image/svg+xml", "application/xhtml+xml"

_WHITESPACE = " \t\n\f\r"
_TAGS = "!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--"
_HTML = re.compile(rf"<(?:{_TAGS})[ >]", re.IGNORECASE)
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)[\s/>]")
_ROOTS = {"svg": SVG, "html": XHTML}
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def marked_text(head: bytes) -> tuple[str, bytes] | None:
    """Return the encoding that a byte order mark tells and the bytes after it; None if there is no mark."""
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return encoding, head[len(mark) :]
    return None


def sniff_markup(head: bytes) -> str | None:
    """Return the type of the markup that a file begins with: HTML, XHTML, SVG or other XML; None for anything else."""
    encoding, rest = marked_text(head) or ("latin-1", head)
    text = rest.decode(encoding, errors="replace").lstrip(_WHITESPACE)
    if not text.startswith("<"):
        return None
    is_xml = text.startswith("<?xml")
    start = 0
    while text.startswith(("<!", "<?"), start):  # comments, instructions and a document type before the root element
        if text.startswith("<!--", start):
            start = _past(text, "-->", start + 4)
        elif text.startswith("<?", start):
            start = _past(text, "?>", start + 2)
        else:
            end = _past(text, ">", start)
            subset = text.find("[", start, end)  # no further, or a head of many would be read again for each
            start = end if subset < 0 else _past(text, ">", _past(text, "]", subset))
        while start < len(text) and text[start] in _WHITESPACE:
            start += 1
    element = _ELEMENT.match(text, start)
    root = element[1] if element else ""
    if root == "svg" or (is_xml and root in _ROOTS):
        return _ROOTS[root]
    if _HTML.match(text):
        return HTML
    return XML if is_xml else None


def _past(text: str, mark: str, start: int) -> int:
    end = text.find(mark, start)
    return len(text) if end < 0 else end + len(mark)
