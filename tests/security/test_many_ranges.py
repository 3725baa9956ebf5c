"""Ranges by the thousand, and huge ones: never more bytes than the file has, and never the file in memory."""

from time import monotonic

import pytest

from tests.security.conftest import Server, stored_file

MIB = 1024 * 1024
SIZE = 48 * MIB
SECONDS, MEMORY = 20, 32 * MIB
"""What one download may cost on a busy machine."""

RANGES: dict[str, tuple[str, int, int]] = {
    "one of all": (f"bytes=0-{SIZE - 1}", 206, SIZE),
    "one beyond all": ("bytes=0-" + "9" * 1000, 206, SIZE),
    "thousands of zeros": ("bytes=" + "0" * 3_000 + "5-5", 206, 1),
    "too many zeros": ("bytes=" + "0" * 30_000 + "5-5", 200, SIZE),
    "a thousand bytes": ("bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(1000)), 200, SIZE),
    "a thousand times all": ("bytes=" + "0-," * 1000, 200, SIZE),
    "a thousand suffixes": ("bytes=" + ",".join(f"-{n}" for n in range(1, 1000)), 200, SIZE),
    "a thousand commas": ("bytes=" + "," * 1000 + "0-0", 206, 1),
    "sixteen times all": ("bytes=" + ",".join(["0-"] * 16), 206, SIZE),
    "sixteen that overlap": ("bytes=" + ",".join(f"{n}-" for n in range(16)), 206, SIZE),
    "sixteen apart": ("bytes=" + ",".join(f"{n * 3 * MIB}-{n * 3 * MIB + 2 * MIB}" for n in range(16)), 206, 0),
    "a header of nothing": ("bytes=" + "1-0," * 9000, 200, SIZE),
    "thousands of dashes": ("bytes=" + "-" * 30_000, 200, SIZE),
}


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """The URL of a file that is larger than what its download may take; it was downloaded once."""
    url = stored_file(server, "/tickets/", "a.bin", b"x" * SIZE, "application/octet-stream", title="t")
    server.client.get(url)
    return url


@pytest.mark.parametrize("case", RANGES)
def test_ranges_cost_no_more_than_the_file(server: Server, url: str, case: str) -> None:
    """Whatever is asked for, it is answered in seconds and in little memory, with at most the file and its heads."""
    header, status, size = RANGES[case]
    before, start, received = server.peak(), monotonic(), 0
    with server.client.stream("GET", url, headers={"Range": header}) as answer:
        received = sum(map(len, answer.iter_bytes()))

    assert answer.status_code == status
    assert received == size or (size == 0 and received < SIZE)
    assert monotonic() - start < SECONDS
    assert server.peak() - before < MEMORY
