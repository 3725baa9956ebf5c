"""Archives, as the programs read them that people have: Python, Info-ZIP, and readers of streams."""

import io
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile
from zlib import crc32

import pytest

from fastapi_filestore.web.serving.zip_format import Entry, ZipArchive
from tests.servers.process import unavailable

MOMENT = datetime(2026, 5, 17, 12, 30, 44, tzinfo=UTC)
CONTENTS = {"small.txt": b"small", "empty": b"", "2026/über.bin": bytes(range(256)) * 40, "日本.txt": b"last"}


def archive_size(entries: Iterable[Entry]) -> int:
    """Return what an archive of these entries is measured to be, before there is any of it."""
    archive = ZipArchive()
    for entry in entries:
        archive.end(entry, 0)
    return archive.size


def archive(contents: dict[str, bytes], modified: datetime = MOMENT) -> bytes:
    """Return an archive, whose size is what was told of it in advance."""
    growing, parts = ZipArchive(), []
    entries = [Entry(name, len(content), modified) for name, content in contents.items()]
    for entry, content in zip(entries, contents.values(), strict=True):
        parts += [growing.begin(entry), content, growing.end(entry, crc32(content))]
    whole = b"".join([*parts, *growing.directory()])

    assert len(whole) == growing.size == archive_size(entries)
    return whole


@pytest.fixture(scope="module")
def info_zip() -> Path:
    """The folder of Info-ZIP's programs."""
    found = shutil.which("unzip")
    return Path(found).parent if found else unavailable("unzip is not installed: `apt-get install unzip`")


@pytest.fixture
def whole() -> bytes:
    """An archive."""
    return archive(CONTENTS)


def test_python_reads_it(whole: bytes) -> None:
    """`zipfile` finds each file whole, stored, with its name, its time and its mode."""
    with ZipFile(io.BytesIO(whole)) as opened:
        found = opened.infolist()

        assert {info.filename: opened.read(info) for info in found} == CONTENTS
    assert {(info.compress_type, info.date_time, info.external_attr >> 16) for info in found} == {
        (ZIP_STORED, (2026, 5, 17, 12, 30, 44), 0o100644)
    }


@pytest.mark.works_with("Info-ZIP (unzip)")
def test_info_zip_extracts_it(info_zip: Path, whole: bytes, tmp_path: Path) -> None:
    """`unzip` tests and extracts it without a warning, and gives each file its time."""
    (tmp_path / "a.zip").write_bytes(whole)
    subprocess.run([info_zip / "unzip", "-q", "a.zip", "-d", "out"], cwd=tmp_path, check=True)
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]

    assert {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in found} == CONTENTS
    assert {path.stat().st_mtime for path in found} == {MOMENT.timestamp()}


def test_a_reader_of_a_stream_finds_the_first_file(info_zip: Path, whole: bytes) -> None:
    """`funzip`, which can't look at the directory, gives the first file whole: its size is told before it."""
    done = subprocess.run([info_zip / "funzip"], input=whole, capture_output=True, check=False)

    assert done.stdout == b"small"


def test_no_files_are_an_archive() -> None:
    """An archive of nothing is one."""
    assert ZipFile(io.BytesIO(archive({}))).namelist() == []


@pytest.mark.parametrize("year", [1970, 1979, 2037, 2040, 2107, 2110, 9999])
def test_any_time_of_a_file_is_told(year: int) -> None:
    """A time that the format can't tell becomes the nearest one that it can."""
    (info,) = ZipFile(io.BytesIO(archive({"a": b"b"}, datetime(year, 3, 4, tzinfo=UTC)))).infolist()

    assert info.date_time[0] == min(max(year, 1980), 2107)


def sparse_archive(path: Path, size: int) -> int:
    """Write an archive of a long file and another one after it; return how long it was to be."""
    growing = ZipArchive()
    long, after = entries = [Entry("long", size, MOMENT), Entry("after", 4, MOMENT)]
    with path.open("wb") as file:
        file.write(growing.begin(long))
        file.seek(size, io.SEEK_CUR)
        file.write(growing.end(long, 0) + growing.begin(after) + b"last" + growing.end(after, crc32(b"last")))
        file.write(b"".join(growing.directory()))
    return archive_size(entries)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32, 2**33])
def test_files_and_places_beyond_4_gib(size: int, tmp_path: Path) -> None:
    """ZIP64 tells sizes and places that 32 bits can't; a file that needs none has none."""
    expected = sparse_archive(tmp_path / "a.zip", size)
    with ZipFile(tmp_path / "a.zip") as opened:
        long, after = opened.infolist()

        assert (long.file_size, opened.read(after)) == (size, b"last")
    assert long.extract_version == (45 if size >= 2**32 - 1 else 20)
    assert (tmp_path / "a.zip").stat().st_size == expected


def test_info_zip_finds_a_file_beyond_4_gib(info_zip: Path, tmp_path: Path) -> None:
    """`unzip` finds what is behind a file of 8 GiB."""
    sparse_archive(tmp_path / "a.zip", 2**33)
    printed = subprocess.run(
        [info_zip / "unzip", "-p", "a.zip", "after"], cwd=tmp_path, capture_output=True, check=True
    )

    assert printed.stdout == b"last"


def test_many_files() -> None:
    """From 65,535 files on, their number is told by ZIP64."""
    growing = ZipArchive()
    entries = [Entry(f"{number:05}", 0, MOMENT) for number in range(65_600)]
    parts = [part for entry in entries for part in (growing.begin(entry), growing.end(entry, 0))]

    assert len(ZipFile(io.BytesIO(b"".join([*parts, *growing.directory()]))).namelist()) == len(entries)
