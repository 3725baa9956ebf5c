"""The soak in short."""

from pathlib import Path

import pytest

from tests.servers.postgres import Postgres
from tests.servers.seaweedfs import SeaweedFS
from tests.soak.servers import place_on
from tests.soak.soak import Load, Soak

SHORT = Load(seconds=5.0, workers=2, tasks=10, kill_every=1.5)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
async def test_rows_and_objects_agree_under_load(
    postgres_database: Postgres, seaweedfs: SeaweedFS, tmp_path: Path, blocking: bool
) -> None:
    """Workers that are killed now and then, and two sweepers beside them, leave rows and objects in agreement."""
    result = await Soak(place_on(postgres_database, seaweedfs, blocking=blocking), SHORT, tmp_path).run()

    assert result.problems == []
    assert result.kills >= 2
    assert sum(result.counts.values()) > 10
