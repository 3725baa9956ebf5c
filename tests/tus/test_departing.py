"""Core: clients that go away, fall silent, or come at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from tests.tus.client import MEDIA_TYPE, Tus
from tests.tus.wire import Connection

CONTENT = bytes(range(256)) * 800
HALF = len(CONTENT) // 2
FIELDS = [*MEDIA_TYPE.items(), ("Upload-Offset", "0")]
LENGTH = ("Content-Length", str(len(CONTENT)))
SEEN = 0.2
"""Seconds in which a server has read what was sent, before the connection ends."""


def go(connection: Connection, how: str) -> None:
    """Go away in one of two ways, after what was sent was read: a reset takes with it what was not."""
    time.sleep(SEEN)
    connection.vanish() if how == "vanishes" else connection.leave()


@pytest.mark.spec("PATCH", "The server always attempts to store as much of the received data as possible.")
@pytest.mark.parametrize("how", ["leaves", "vanishes"])
@pytest.mark.parametrize("form", ["with its length", "in chunks"])
def test_what_came_is_kept(tus: Tus, how: str, form: str) -> None:
    """Of a client that goes away in the middle is kept what came, and it goes on from there."""
    url = tus.begin(len(CONTENT))
    framing = LENGTH if form == "with its length" else ("Transfer-Encoding", "chunked")
    with tus.begun("PATCH", url, [*FIELDS, framing]) as connection:
        connection.send(CONTENT[:HALF] if framing is LENGTH else b"%x\r\n" % len(CONTENT) + CONTENT[:HALF])
        go(connection, how)

    offset = tus.settled_offset(url, 1)
    tus.finish(url, CONTENT)

    assert 0 < offset <= HALF
    assert tus.offset(url) == len(CONTENT)


@pytest.mark.needs("content")
@pytest.mark.spec("PATCH", "The bytes are applied at the offset.")
def test_an_upload_that_was_cut_off_is_whole_in_the_end(tus: Tus) -> None:
    """What is kept of a client that went away again and again is what it sent."""
    url = tus.begin(len(CONTENT))
    for part in (1, 2, 3):
        offset, until = tus.offset(url), len(CONTENT) * part // 4
        length = ("Content-Length", str(len(CONTENT) - offset))
        with tus.begun("PATCH", url, [*MEDIA_TYPE.items(), ("Upload-Offset", str(offset)), length]) as connection:
            connection.send(CONTENT[offset:until])
            connection.leave()
        tus.settled_offset(url, offset)
    tus.finish(url, CONTENT)
    content = tus.content(url)

    assert len(content) == len(CONTENT)
    assert sha256(content).digest() == sha256(CONTENT).digest()


@pytest.mark.spec("PATCH", "Network errors are detected and handled predictably.")
@pytest.mark.parametrize("sent", [0, HALF], ids=["before a byte", "in the middle"])
def test_a_silent_client_does_not_hold_an_upload(tus: Tus, sent: int) -> None:
    """A client whose connection hangs is not waited for, once it comes again on another one."""
    url = tus.begin(len(CONTENT))
    with tus.begun("PATCH", url, [*FIELDS, LENGTH]) as connection:
        connection.send(CONTENT[:sent])
        time.sleep(0.1)
        tus.finish(url, CONTENT)

    assert tus.offset(url) == len(CONTENT)


@pytest.mark.spec("PATCH", "Offsets that differ are a 409.")
@pytest.mark.parametrize("count", [2, 8])
def test_the_same_bytes_at_once_are_taken_once(tus: Tus, count: int) -> None:
    """Of clients that send the same piece at the same time one is told that it was taken, the others are not."""
    url = tus.begin(8)
    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(lambda _: tus.patch(url, 0, b"0123"), range(count)))
    statuses = sorted(answer.status_code for answer in answers)

    assert statuses[0] == 204
    assert all(400 <= status < 500 for status in statuses[1:])
    assert tus.offset(url) == 4


@pytest.mark.spec("Creation, POST", "Each request is for a new resource.")
def test_uploads_at_once_are_uploads_of_their_own(tus: Tus) -> None:
    """Uploads that begin and come at the same time don't disturb each other."""

    def upload(number: int) -> int:
        url = tus.begin(number)
        for offset in range(number):
            tus.patch(url, offset, b"x")
        return tus.offset(url)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(upload, range(1, 6))) == [1, 2, 3, 4, 5]


@pytest.mark.needs("termination")
@pytest.mark.spec("Termination, DELETE", "Unfinished uploads are terminated.")
def test_an_upload_ends_while_bytes_come(tus: Tus) -> None:
    """An upload that is ended while bytes of it come is gone, and stays so when they have come."""
    url = tus.begin(len(CONTENT))
    with tus.begun("PATCH", url, [*FIELDS, LENGTH]) as connection:
        connection.send(CONTENT[:HALF])
        time.sleep(0.1)
        answer = tus.delete(url)

    assert answer.status_code in {204, 409, 423}
    assert (answer.status_code == 204) == (tus.head(url).status_code in {404, 410})
