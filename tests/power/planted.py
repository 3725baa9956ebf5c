"""A library that leaves out one of its syncs, or comes to it too late."""

from collections.abc import Callable
from io import FileIO

import pytest

from fastapi_filestore.storage.local.durability import Durability
from fastapi_filestore.storage.local.open_folder import OpenFolder
from fastapi_filestore.storage.local.staged import StagedFile
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

Plant = Callable[[pytest.MonkeyPatch], None]


def _do_nothing(*_: object) -> None:
    """Leave it out."""


def _sync_only(durability: Durability, folder: OpenFolder) -> None:
    durability._sync_folder(folder)


def _place_first(monkeypatch: pytest.MonkeyPatch) -> None:
    place, sync = StagedFile.put_in_place, StagedFile.sync
    monkeypatch.setattr(StagedFile, "sync", _do_nothing)

    def placed(file: StagedFile, folder: OpenFolder) -> None:
        place(file, folder)
        with FileIO(folder.path / file._target) as file._file:
            sync(file)

    monkeypatch.setattr(StagedFile, "put_in_place", placed)


async def _settle_nothing(*_: object) -> None:
    """Believe what somebody else stored."""


UNSYNCED: dict[str, Plant] = {
    "a file is not synced": lambda patch: patch.setattr(Durability, "sync_file", _do_nothing),
    "a folder is not synced": lambda patch: patch.setattr(Durability, "sync_names", _do_nothing),
    "a new folder's folder is not synced": lambda patch: patch.setattr(Durability, "sync_names", _sync_only),
    "a deletion is not synced": lambda patch: patch.setattr(Durability, "sync_removals", _do_nothing),
}
"""What both kinds of scripts find."""
LATE: dict[str, Plant] = {"a file is put in its place before it is synced": _place_first}
"""What is found where an object is replaced."""
UNSETTLED: dict[str, Plant] = {
    "a file of somebody else's is not synced": lambda patch: patch.setattr(
        ObstoreBackend, "make_durable", _settle_nothing
    )
}
"""What is found where a row points to what a client stored."""
PLANTED = UNSYNCED | LATE | UNSETTLED
