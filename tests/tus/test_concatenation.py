"""Concatenation: uploads that are made of others."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from tests.tus.client import PATIENCE, Tus, encoded, is_refused

pytestmark = pytest.mark.needs("concatenation")
HELLO = (b"hello", b" world")


def begin_part(tus: Tus, body: bytes, *, length: int | None = None, **headers: str) -> str:
    """Begin a partial upload with its bytes; its URL."""
    return tus.begin(len(body) if length is None else length, body, Upload_Concat="partial", **headers)


def join(tus: Tus, parts: Sequence[str], **headers: str) -> httpx.Response:
    """Ask for an upload that is made of others."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return tus.post({"Upload-Concat": f"final;{' '.join(parts)}", **named})


def joined(tus: Tus, answer: httpx.Response) -> httpx.Response:
    """Wait until an upload is put together; the answer that says so."""
    url, deadline = tus.place(answer), time.monotonic() + PATIENCE
    while "Upload-Offset" not in (head := tus.head(url)).headers and time.monotonic() < deadline:
        time.sleep(0.05)
    return head


@pytest.mark.spec(
    "Concatenation", "Answers to HEAD of a partial upload have Upload-Concat as received, and the offset."
)
def test_a_part_tells_that_it_is_one(tus: Tus) -> None:
    """A partial upload tells so, and how far it is, as any other."""
    headers = tus.head(begin_part(tus, b"01", length=4)).headers

    assert (headers["Upload-Concat"], headers["Upload-Offset"], headers["Upload-Length"]) == ("partial", "2", "4")


@pytest.mark.spec(
    "Concatenation", "The length of the final upload is the sum of the partial ones'; offset and length equal."
)
@pytest.mark.parametrize(
    "bodies", [HELLO, [b"alone"], [b"", b"0"], [b"", b""], [b"x"] * 20], ids=["2", "1", "0+1", "0+0", "20"]
)
def test_parts_become_one_upload(tus: Tus, bodies: list[bytes]) -> None:
    """An upload that is made of others is complete, and as long as all of them."""
    answer = join(tus, [begin_part(tus, body) for body in bodies])
    headers = joined(tus, answer).headers
    length = str(sum(map(len, bodies)))

    assert (headers["Upload-Offset"], headers["Upload-Length"]) == (length, length)


@pytest.mark.spec("Concatenation", "Answers to HEAD of a final upload have Upload-Concat as received.")
@pytest.mark.parametrize("written", ["as told", "absolute", "relative"])
def test_parts_are_named_by_any_form_of_their_address(tus: Tus, written: str) -> None:
    """Parts are known by the addresses that the server told, with and without its name, and told again as they came."""
    told = [tus.post({"Upload-Length": "0", "Upload-Concat": "partial"}).headers["Location"] for _ in range(2)]
    forms = {
        "as told": told,
        "absolute": [str(httpx.URL(tus.url).join(place)) for place in told],
        "relative": [urlsplit(str(httpx.URL(tus.url).join(place))).path for place in told],
    }
    answer = join(tus, forms[written])

    assert joined(tus, answer).headers["Upload-Concat"] == f"final;{' '.join(forms[written])}"


@pytest.mark.needs("content")
@pytest.mark.spec("Concatenation", "The partial uploads are concatenated in the order of the list.")
@pytest.mark.parametrize(
    ("order", "content"),
    [((0, 1, 2), b"aabbbc"), ((2, 0, 1), b"caabbb"), ((1, 1), b"bbbbbb")],
    ids=["as begun", "other", "twice"],
)
def test_parts_are_in_the_order_of_the_list(tus: Tus, order: tuple[int, ...], content: bytes) -> None:
    """The order in which parts are named is that of their bytes, whenever they were begun or came."""
    parts = [begin_part(tus, body) for body in (b"aa", b"bbb", b"c")]

    answer = join(tus, [parts[number] for number in order])
    joined(tus, answer)

    assert tus.content(tus.place(answer)) == content


@pytest.mark.spec("Concatenation", "A partial upload may be there several times in one request.")
def test_a_part_may_be_there_twice(tus: Tus) -> None:
    """A part that is named twice counts twice."""
    part = begin_part(tus, b"hello")

    assert joined(tus, join(tus, [part, part])).headers["Upload-Length"] == "10"


@pytest.mark.spec(
    "Concatenation", "A partial upload may be used in several requests; the server may delete it after one."
)
def test_a_part_of_two_uploads_is_taken_or_gone(tus: Tus) -> None:
    """A part that was used is used again, or told to be gone: the upload is never made without it."""
    parts = [begin_part(tus, body) for body in HELLO]
    joined(tus, join(tus, parts))

    answer = join(tus, parts)

    assert is_refused(answer) or joined(tus, answer).headers["Upload-Length"] == "11"


@pytest.mark.spec("Concatenation", "A PATCH of a final upload is a 403, and modifies neither it nor its parts.")
@pytest.mark.parametrize("offset", [0, 11])
def test_what_is_made_of_parts_takes_no_bytes(tus: Tus, offset: int) -> None:
    """Bytes for an upload that is made of others are forbidden, and change nothing."""
    answer = join(tus, [begin_part(tus, body) for body in HELLO])
    url = tus.place(answer)
    joined(tus, answer)

    refused = tus.patch(url, offset, b"more")

    assert refused.status_code == 403
    assert tus.head(url).headers["Upload-Length"] == "11"


@pytest.mark.spec("Concatenation", "Metadata of partial uploads are not those of the final one.")
def test_metadata_are_those_of_the_final_upload(tus: Tus) -> None:
    """An upload that is made of others has the metadata that it was begun with, and none of theirs."""
    named = f"filename {encoded('final.txt')}"
    parts = [begin_part(tus, body, Upload_Metadata=f"filename {encoded('part.txt')},part") for body in HELLO]
    parts_of_two = [begin_part(tus, body, Upload_Metadata="part") for body in HELLO]

    assert joined(tus, join(tus, parts, Upload_Metadata=named)).headers["Upload-Metadata"] == named
    assert "Upload-Metadata" not in joined(tus, join(tus, parts_of_two)).headers


@pytest.mark.spec("Concatenation", "The client does not include Upload-Length in the creation of a final upload.")
@pytest.mark.parametrize("length", ["5", "11", "0"])
def test_a_final_upload_has_no_length_of_its_own(tus: Tus, length: str) -> None:
    """A length beside the parts is refused, or not listened to."""
    answer = join(tus, [begin_part(tus, body) for body in HELLO], Upload_Length=length)

    assert is_refused(answer) or joined(tus, answer).headers["Upload-Length"] == "11"


@pytest.mark.spec("Upload-Concat", "It is partial, or final with a semicolon and URLs, separated by spaces.")
@pytest.mark.parametrize(
    "value",
    ["", "final", "final;", "final; ", "parts", "PARTIAL;", "partial;/files/a", "final:/files/a", "final /a", "1"],
)
def test_what_is_neither_partial_nor_final_is_refused(tus: Tus, value: str) -> None:
    """An upload is not begun as something that there is not."""
    answer = tus.raw(
        "POST", tus.url, [("Upload-Concat", value), *([("Upload-Length", "4")] if "final" not in value else [])]
    )

    assert is_refused(answer)


@pytest.mark.spec("Concatenation", "The URLs are those of partial uploads.")
@pytest.mark.parametrize(
    "kind", ["unknown", "of another server", "of another path", "no part", "final", "comma", "no URL"]
)
def test_what_is_no_part_is_refused(tus: Tus, kind: str) -> None:
    """An upload is made of parts that this server has, and of nothing else."""
    part = begin_part(tus, b"hello")
    other = {
        "unknown": f"{part}0nothing",
        "of another server": f"http://other.example{urlsplit(part).path}",
        "of another path": f"/elsewhere{urlsplit(part).path}/x",
        "no part": tus.begin(5, b"hello"),
        "final": tus.place(join(tus, [begin_part(tus, b"hello")])),
        "comma": f"{part},{part}",
        "no URL": "http://[",
    }[kind]

    assert is_refused(join(tus, [part, other]))
    assert is_refused(join(tus, [other]))


@pytest.mark.spec(
    "Concatenation", "A final upload of unfinished parts is for servers that announce concatenation-unfinished."
)
def test_parts_that_are_not_complete_are_refused_or_waited_for(tus: Tus) -> None:
    """An upload is not made of what is not there yet: it is refused, or waits until it is."""
    parts = [begin_part(tus, b"hello"), begin_part(tus, b" wo", length=6)]
    answer = join(tus, parts)

    if not is_refused(answer):
        headers = tus.head(tus.place(answer)).headers
        assert "Upload-Offset" not in headers or headers["Upload-Offset"] != headers.get("Upload-Length")


@pytest.mark.needs("concatenation-unfinished")
@pytest.mark.spec("Concatenation", "The request may be sent while partial uploads are in progress.")
def test_an_upload_waits_for_its_parts(tus: Tus) -> None:
    """An upload that was made of parts that were not complete is complete when they are."""
    part = begin_part(tus, b" wo", length=6)
    answer = join(tus, [begin_part(tus, b"hello"), part])
    tus.patch(part, 3, b"rld")

    assert joined(tus, answer).headers["Upload-Offset"] == "11"


@pytest.mark.needs("creation-with-upload")
@pytest.mark.spec("Concatenation", "A partial upload is made by Upload-Concat: partial in any creation.")
def test_parts_come_with_their_creation(tus: Tus) -> None:
    """Parts that come all at once are put together as others."""
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Concat": "partial"}
    parts = [tus.place(tus.post({**kind, "Upload-Length": str(len(body))}, body)) for body in HELLO]

    assert joined(tus, join(tus, parts)).headers["Upload-Length"] == "11"


@pytest.mark.needs("creation-defer-length")
@pytest.mark.spec("Concatenation", "A partial upload is made by Upload-Concat: partial in any creation.")
def test_a_part_may_tell_its_length_late(tus: Tus) -> None:
    """A part whose length came later is put together as others."""
    part = tus.begin(None, Upload_Concat="partial")
    tus.patch(part, 0, b"hello", Upload_Length="5")

    assert joined(tus, join(tus, [part])).headers["Upload-Length"] == "5"


@pytest.mark.spec("Concatenation", "It enables clients to perform parallel uploads.")
def test_parts_come_at_once(tus: Tus) -> None:
    """Parts that are sent at the same time don't disturb each other."""
    parts = [tus.begin(10_000, Upload_Concat="partial") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda part: tus.patch(part, 0, b"x" * 10_000), parts))

    assert [answer.status_code for answer in answers] == [204] * 4
    assert joined(tus, join(tus, parts)).headers["Upload-Length"] == "40000"


@pytest.mark.needs("termination")
@pytest.mark.spec("Termination", "Completed uploads are terminated, too.")
def test_what_is_made_of_parts_is_ended(tus: Tus) -> None:
    """An upload that is made of others ends as any other."""
    answer = join(tus, [begin_part(tus, body) for body in HELLO])
    joined(tus, answer)

    assert tus.delete(tus.place(answer)).status_code == 204
    assert tus.head(tus.place(answer)).status_code in {404, 410}
