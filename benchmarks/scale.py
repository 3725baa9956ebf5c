"""How much of everything: for the published numbers, for a quick look, and for a test of the harness."""

from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes in bytes, numbers, and seconds.

    Attributes:
        big: One big file.
        huge: A file several times as big, which must take no more memory.
        part: Each of four files at once.
        many: Number of files at once.
        each: Each of these.
        ranges: Number of ranges.
        seconds: How long small files are uploaded.
        refused: What is refused.
        chunk: What a client sends of a file in one request.
        several: Each of many files at once that are resumed.
        rounds: How often everything is measured.
        few_rounds: How often what takes longest is measured.
    """

    big: int
    huge: int
    part: int
    many: int
    each: int
    ranges: int
    seconds: float
    refused: int
    chunk: int
    several: int
    rounds: int
    few_rounds: int


FULL = Scale(GIB, 4 * GIB, 256 * MIB, 64, 64 * MIB, 1000, 2.0, 10**9, 8 * MIB, 16 * MIB, 3, 1)
QUICK = Scale(256 * MIB, 512 * MIB, 64 * MIB, 16, 16 * MIB, 500, 1.0, 10**8, 8 * MIB, 4 * MIB, 2, 1)
TINY = Scale(2 * MIB, 4 * MIB, MIB, 3, MIB, 20, 0.2, 10**6, MIB, MIB, 1, 1)
SCALES = {"full": FULL, "quick": QUICK, "tiny": TINY}
