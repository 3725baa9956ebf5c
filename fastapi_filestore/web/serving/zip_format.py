"""The ZIP format for files that are streamed as they are: sizes come before the bytes, checksums after them.

Section numbers are those of PKWARE's APPNOTE.TXT, version 6.3.10. Nothing here knows of files or stores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import pack
from typing import Final

LIMIT: Final = 0xFFFFFFFF
"""From this size or offset on, ZIP64 has the number (section 4.3.9.2)."""
MANY: Final = 0xFFFF
"""From so many entries on, ZIP64 has their number (section 4.4.1.4)."""

PLAIN, ZIP64 = 20, 45
"""Versions that are needed to extract (section 4.4.3)."""
MADE_BY: Final = (3 << 8) | ZIP64
"""On Unix, whose modes are in the external attributes (section 4.4.2)."""
REGULAR_FILE: Final = 0o100644 << 16
CHECKSUM_FOLLOWS, NAME_IS_UTF8 = 1 << 3, 1 << 11
"""Flags (section 4.4.4)."""
ZIP64_FIELD, TIME_FIELD = 0x0001, 0x5455
"""Extra fields: section 4.5.3, and Info-ZIP's extended timestamp."""
FIRST_DAY, LAST_DAY = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
"""What the format's own times can tell (section 4.4.6)."""
BATCH: Final = 1000
"""Records of the directory that are sent at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive: its name with the folders before it, its size in bytes, and its time."""

    name: str
    size: int
    modified: datetime

    @property
    def version(self) -> int:
        """The version of the format that a reader must know."""
        return ZIP64 if self.size >= LIMIT else PLAIN

    @property
    def flags(self) -> int:
        """What a reader must know before it reads on. The checksum of no bytes is known."""
        return (CHECKSUM_FOLLOWS if self.size else 0) | (0 if self.name.isascii() else NAME_IS_UTF8)

    @property
    def time(self) -> tuple[int, int]:
        """The time and the date as MS-DOS has them, in UTC, since they tell no zone."""
        moment = min(max(self.modified.astimezone(UTC), FIRST_DAY), LAST_DAY)
        return (
            moment.hour << 11 | moment.minute << 5 | moment.second // 2,
            (moment.year - 1980) << 9 | moment.month << 5 | moment.day,
        )

    @property
    def exact_time(self) -> bytes:
        """The extra field with the time in seconds since 1970, if 31 bits tell it."""
        seconds = int(self.modified.timestamp())
        return pack("<HHBi", TIME_FIELD, 5, 1, seconds) if 0 <= seconds < 1 << 31 else b""


class ZipArchive:
    """An archive that grows: it gives the bytes before and after each file, and the directory of all at the end.

    `begin`, the bytes of the file and `end` for each entry, then `directory`.
    """

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._offset = 0

    def begin(self, entry: Entry) -> bytes:
        """Return the local header (section 4.3.7). It has the sizes, for readers that can't seek to the directory."""
        size, extra, name = entry.size, entry.exact_time, entry.name.encode()
        if size >= LIMIT:
            size, extra = LIMIT, pack("<HHQQ", ZIP64_FIELD, 16, size, size) + extra
        header = pack(
            "<4s5H3I2H", b"PK\3\4", entry.version, entry.flags, 0, *entry.time, 0, size, size, len(name), len(extra)
        )
        return header + name + extra

    def end(self, entry: Entry, checksum: int) -> bytes:
        """Return what follows the bytes: their CRC-32 (section 4.3.9); note the entry for the directory.

        To measure an archive, that is all that need be called.
        """
        form = "<4sI2Q" if entry.size >= LIMIT else "<4s3I"
        descriptor = pack(form, b"PK\7\x08", checksum, entry.size, entry.size) if entry.size else b""
        self._records.append(self._record(entry, checksum))
        self._offset += len(self.begin(entry)) + entry.size + len(descriptor)
        return descriptor

    def _record(self, entry: Entry, checksum: int) -> bytes:
        """Return an entry of the directory (section 4.3.12)."""
        long = [number for number in (entry.size, entry.size, self._offset) if number >= LIMIT]
        extra = pack(f"<HH{len(long)}Q", ZIP64_FIELD, 8 * len(long), *long) if long else b""
        extra, name = extra + entry.exact_time, entry.name.encode()
        size, offset = min(entry.size, LIMIT), min(self._offset, LIMIT)
        version = ZIP64 if long else PLAIN
        header = pack("<4s6H3I", b"PK\1\2", MADE_BY, version, entry.flags, 0, *entry.time, checksum, size, size)
        return header + pack("<5H2I", len(name), len(extra), 0, 0, 0, REGULAR_FILE, offset) + name + extra

    def directory(self) -> Iterator[bytes]:
        """Give the directory of all entries and the end of the archive, a batch at a time."""
        for start in range(0, len(self._records), BATCH):
            yield b"".join(self._records[start : start + BATCH])
        yield self._last_records()

    def _last_records(self) -> bytes:
        """Return the end of the directory (section 4.3.16), after that of ZIP64 (4.3.14 and 4.3.15) if need be."""
        count, size, start = len(self._records), sum(map(len, self._records)), self._offset
        end = pack("<4s4H2IH", b"PK\5\6", 0, 0, *[min(count, MANY)] * 2, min(size, LIMIT), min(start, LIMIT), 0)
        if count < MANY and size < LIMIT and start < LIMIT:
            return end
        end64 = pack("<4sQ2H2I4Q", b"PK\6\6", 44, MADE_BY, ZIP64, 0, 0, count, count, size, start)
        return end64 + pack("<4sIQI", b"PK\6\7", 0, start + size, 1) + end

    @property
    def size(self) -> int:
        """Bytes of the archive if it ended here."""
        return self._offset + sum(map(len, self._records)) + len(self._last_records())
