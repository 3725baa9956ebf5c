"""Delete objects of a local folder so that a power cut does not bring them back."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from errno import ENAMETOOLONG

from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError
from fastapi_filestore.storage.local.folder import LocalFolder, can_be_there, folder_of, name_of
from fastapi_filestore.storage.local.open_folder import open_folder


def delete_files(folder: LocalFolder, paths: Sequence[str]) -> None:
    """Delete objects, blocking, and return once the disk has confirmed it.

    One that is missing counts, too: it may have been deleted by a process that was killed before it came to that.
    """
    names_in: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if can_be_there(path):
            names_in[folder_of(path)].append(name_of(path))
    for below, names in names_in.items():
        with suppress(LeadsOutsideError):  # of this backend, nothing is there
            remove_files(folder, below, names)


def remove_files(folder: LocalFolder, below: str, names: Sequence[str]) -> None:
    """Remove files of one folder, blocking, and return once the disk has confirmed it; a missing one is fine."""
    left, is_there = folder.enter_what_is_left(below)
    with left:
        for name in names if is_there else ():
            try:
                left.remove(name)
            except OSError as error:
                if error.errno != ENAMETOOLONG and not left.has_folder(name):
                    raise
        if folder.keeps_folders:
            folder.durability.sync_removals(left)
            return
    empty = below
    with suppress(OSError):  # the first that is not empty, or was removed by somebody else
        while empty:
            above, _, name = empty.rpartition("/")
            with open_folder(folder.root, above) as outer:
                outer.remove_folder(name)
            empty = above
    with folder.enter_what_is_left(below)[0] as left:
        folder.durability.sync_removals(left)
