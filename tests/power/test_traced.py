"""What the kernel is asked for, as strace sees it."""

from collections.abc import Callable
from itertools import groupby, product, takewhile
from pathlib import Path, PurePosixPath

import pytest

from fastapi_filestore.storage.local.durability import SYNC_STEP
from fastapi_filestore.storage.paths import UPLOADS
from tests.power.calls import Call, Operation, Promise
from tests.power.disk import Disk
from tests.power.judgement import Judgement
from tests.power.trace import trace
from tests.power.traced_work import KEY

SIZES = {"small": 10_240, "middle": 700_000, "large": 3 * SYNC_STEP + 1}
PLACING: dict[str, list[Operation]] = {
    "put": ["rename"],
    "put_if_absent": ["link", "remove"],
    "copy": ["rename"],
    "upload_signed": ["link", "remove"],
}


DELETED = 10
Traced = Callable[[str, int], tuple[Path, list[Call]]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """Tell of a work and a size its folder, and the calls up to the return of the work: all are done once."""
    top = tmp_path_factory.mktemp("traced") / "disk"
    works = [*product(PLACING, SIZES.values()), ("delete", DELETED)]
    for work, size in works:
        (top / f"{work}-{size}").mkdir(parents=True)
    calls = trace(top, *works)

    def of(work: str, size: int) -> tuple[Path, list[Call]]:
        folder = top / f"{work}-{size}"
        inside = (call for call in calls if call.path.is_relative_to(folder))
        return folder, [*takewhile(lambda call: call.path.name != "returned", inside)]

    return of


def judged(folder: Path, calls: list[Call], *sizes: int | None) -> list[str]:
    """Return what is wrong with the object after a power cut if it must be of one of these sizes.

    What is stored by an upload URL is at a path of its own.
    """
    judgement = Judgement(Disk(PurePosixPath(folder)))
    placed = [call.target for call in calls if call.operation == "link" and UPLOADS in call.path.parts]
    path = placed[0] if placed and placed[0] else PurePosixPath(folder / "store" / KEY)
    judgement.follow([*calls, Promise(path, frozenset(sizes))])
    return judgement.problems


@pytest.mark.parametrize("work", PLACING)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_what_is_stored_outlasts_a_power_cut(traced: Traced, work: str, size: int) -> None:
    """As a put returns, its file was synced, then placed, then its folders were synced; a long one as it came."""
    folder, calls = traced(work, size)
    operations = [call.operation for call in calls]
    steps = [operation for operation, _ in groupby(operations)]

    assert judged(folder, calls, size) == []
    assert steps[-len(PLACING[work]) - 3 :] == ["write", "sync", *PLACING[work], "sync_folder"]
    assert operations.count("sync") >= (2 if size > SYNC_STEP else 1)


def test_what_is_deleted_does_not_come_back(traced: Traced) -> None:
    """As a deletion returns, the folder was synced after its file was removed."""
    folder, calls = traced("delete", DELETED)

    assert judged(folder, calls, None) == []
    assert [call.operation for call in calls][-2:] == ["remove", "sync_folder"]
