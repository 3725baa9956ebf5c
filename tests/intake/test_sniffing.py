"""What first bytes are of: a corpus of heads, the tags of the WHATWG standard, and what happens without the library."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_filestore.intake.types.sniffing import sniff, sniff_markup
from fastapi_filestore.intake.validators import HEAD_BYTES
from tests.intake.heads import HEADS

TAGS = (
    *("!DOCTYPE HTML", "HTML", "HEAD", "SCRIPT", "IFRAME", "H1", "DIV", "FONT", "TABLE", "A", "STYLE", "TITLE", "B"),
    *("BODY", "BR", "P", "!--"),
)

WITHOUT_LIBRARY = """
import sys
sys.modules["filetype"] = None
from fastapi_filestore import ConfigurationError, Filestore, StoredObject, TypesAgree
from fastapi_filestore.intake.types.sniffing import sniff

Filestore().upload(content_types=["image/*"])
assert sniff(b"<html>") is None
for ask in (TypesAgree, lambda: StoredObject(sniff=True), lambda: Filestore().upload(sniff=True)):
    try:
        ask()
    except ConfigurationError as error:
        assert "fastapi-filestore[sniff]" in str(error)
    else:
        raise AssertionError(ask)
"""


def test_first_bytes_tell_the_type() -> None:
    """Each head is of its type, and longer than it need be it still is."""
    fillers = {
        name: b" " if kind.startswith("text/") and name != "text in utf-16" else b"\0"
        for name, (_, kind) in HEADS.items()
    }
    expected = {name: (kind, kind) for name, (_, kind) in HEADS.items()}

    assert {
        name: (sniff(head), sniff(head.ljust(HEAD_BYTES, fillers[name]))) for name, (head, _) in HEADS.items()
    } == expected


def test_every_tag_of_the_standard_is_html() -> None:
    """Section 7.1's tags, in any case, behind white space, followed by a space or the tag's end."""
    heads = [f"{before}{tag}{end}" for tag in TAGS for end in " >" for before in ("\t\n\f\r <", "<")]

    assert {sniff_markup(head.encode()) for each in heads for head in (each, each.lower())} == {"text/html"}


def test_nothing_else_is_html() -> None:
    """A longer name, something before the tag, or no end of it: a browser takes none of these for HTML."""
    heads = (b"<htmlx>", b"<ab>", b"< html>", b"x<html>", b"<html", b"<!--x", b"\0<html>")

    assert {sniff_markup(head) for head in heads} == {None}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([head for head, _ in HEADS.values()]), st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes_are_of_some_type(head: bytes, noise: bytes, at: int) -> None:
    """Whatever a client sends, and wherever it breaks off, there is an answer and no error."""
    for each in (noise, head[:at], head[:at] + noise + head[at:]):
        assert "/" in (sniff(each) or "")


@pytest.mark.parametrize("head", [b"<!--", b"<?", b"<![", b"<!-->" * 13000, b"<!x>" * 16000, b"<?x?>" * 13000])
def test_hostile_markup_costs_no_time(head: bytes) -> None:
    """A prolog that never ends is read once."""
    started = time.process_time()
    sniff_markup(head.ljust(HEAD_BYTES, b"<"))

    assert time.process_time() - started < 0.2


def test_without_the_library_only_who_asks_for_it_is_refused() -> None:
    """Routes and columns that don't sniff work; the others name the extra to install."""
    subprocess.run([sys.executable, "-c", WITHOUT_LIBRARY], check=True)
