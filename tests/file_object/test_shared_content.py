"""One source of content that is given to several files: all of it for each, or an error."""

import asyncio
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore import ContentConsumedError, FileObject, ObstoreBackend, StorageRegistry
from tests.file_object.conftest import keys
from tests.file_object.contents import BODY, FILES, ONCE, generate, make, pending, upload

__all__ = ["make", "upload"]


async def test_an_upload_for_many_files(registry: StorageRegistry, upload: UploadFile) -> None:
    """An UploadFile that is stored as twelve files at once is stored whole as each of them."""
    files = await asyncio.gather(*(pending(registry, upload).save_async() for _ in range(12)))

    assert [await file.get_content_async() == BODY for file in files] == [True] * 12


def test_an_upload_for_many_threads(registry: StorageRegistry, upload: UploadFile) -> None:
    """Readers take turns across event loops, too."""

    def save(_: int) -> bytes:
        return asyncio.run(pending(registry, upload).save_async()).get_content()

    with ThreadPoolExecutor(4) as pool:
        assert [stored == BODY for stored in pool.map(save, range(8))] == [True] * 8


async def test_a_reader_that_is_cancelled(registry: StorageRegistry, upload: UploadFile) -> None:
    """Whoever is cancelled, waiting or reading, does not keep the others from their turns."""
    saves = [asyncio.create_task(pending(registry, upload).save_async()) for _ in range(6)]
    await asyncio.sleep(0.001)
    for save in saves[::2]:
        save.cancel()
    files = [await save for save in saves[1::2]]

    assert [await file.get_content_async() == BODY for file in files] == [True] * 3


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("form", ONCE)
async def test_what_is_read_once(
    registry: StorageRegistry, memory: ObstoreBackend, make: Callable[[str], Any], form: str, at_once: bool
) -> None:
    """Of two files made of a source that can be read only once, one is stored whole and the other is refused."""
    content = make(form)
    first, second = pending(registry, content), pending(registry, content)
    if not at_once:
        await first.save_async()
    results = await asyncio.gather(first.save_async(), second.save_async(), return_exceptions=True)

    assert {type(result) for result in results} == {FileObject, ContentConsumedError}
    assert await first.get_content_async() == BODY
    assert await keys(memory) == {first.path}


@pytest.mark.parametrize("form", FILES)
async def test_a_file_that_nobody_rewound(registry: StorageRegistry, make: Callable[[str], Any], form: str) -> None:
    """A new FileObject of a handle that an earlier one has read is refused, and told how to go on."""
    content = make(form)
    await pending(registry, content).save_async()
    with pytest.raises(ContentConsumedError, match=r"seek\(0\)"):
        await pending(registry, content).save_async()


@pytest.mark.parametrize("form", FILES)
async def test_a_file_that_was_rewound(registry: StorageRegistry, make: Callable[[str], Any], form: str) -> None:
    """A handle can be stored again and again from wherever its owner takes it."""
    content = make(form)
    for start in (0, 0, 7, 7, len(BODY) - 1):
        content.seek(start)
        file = await pending(registry, content).save_async()

        assert await file.get_content_async() == BODY[start:]


async def test_a_file_that_is_rewound_between(registry: StorageRegistry) -> None:
    """What counts is where a handle stands when its turn comes, not when the FileObject was made."""
    content = io.BytesIO()
    first, second = pending(registry, content), pending(registry, content)
    content.write(BODY)
    for file in (first, second):
        content.seek(0)
        await file.save_async()

    assert await second.get_content_async() == await first.get_content_async() == BODY


async def test_a_file_that_grows(registry: StorageRegistry) -> None:
    """What was written to a handle since it was read is stored, from where it stands."""
    content = io.BytesIO(b"one")
    await pending(registry, content).save_async()
    content.write(b"two")
    content.seek(3)
    file = await pending(registry, content).save_async()

    assert await file.get_content_async() == b"two"


async def test_an_empty_file(registry: StorageRegistry) -> None:
    """A file of no bytes is stored as often as it is given."""
    content = io.BytesIO()
    files = [await pending(registry, content).save_async() for _ in range(2)]

    assert [file.size for file in files] == [0, 0]


class Lines:
    """An iterable that begins anew for each who iterates it."""

    def __iter__(self) -> Iterator[bytes]:
        return generate()


async def test_an_iterable_that_begins_anew(registry: StorageRegistry) -> None:
    """An iterable that is no iterator can be shared freely."""
    content = Lines()
    files = await asyncio.gather(*(pending(registry, content).save_async() for _ in range(3)))

    assert [await file.get_content_async() == BODY for file in files] == [True] * 3
