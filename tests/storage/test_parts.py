"""How content is cut: parts, memory, and which client carries them."""

import pytest

from fastapi_filestore.storage.obstore.parts import plan_parts
from fastapi_filestore.storage.obstore.stores import connect
from tests.storage.stores import MIB

UNSET = {"use_multipart": None, "chunk_size": None, "max_concurrency": None}


def test_defaults() -> None:
    """By default an upload holds two parts of 8 MiB."""
    plan = plan_parts("s3", size=None, **UNSET)

    assert (plan.size, plan.concurrency, plan.in_flight, plan.single_limit) == (8 * MIB, 2, 16 * MIB, 8 * MIB)


@pytest.mark.parametrize("size", [0, 80_000 * MIB, 80_001 * MIB, 5_000_000 * MIB])
def test_ten_thousand_parts(size: int) -> None:
    """Parts grow so that content of a known size never needs more than a store takes."""
    plan = plan_parts("s3", size=size, **UNSET)

    assert plan.size * 10_000 >= size
    assert plan.size == 8 * MIB or (plan.size - 1) * 10_000 < size


def test_patience() -> None:
    """Uploads with much on its way at once get a client that waits longer, unless the wait was set."""
    connection = connect("s3://b", {"aws_skip_signature": True})
    patient = connection.for_upload(1000 * MIB)
    impatient = connect("s3://b", {"aws_skip_signature": True, "timeout": 5})

    assert connection.for_upload(16 * MIB) is connection.store
    assert patient is connection.for_upload(None) is not connection.store
    assert impatient.for_upload(None) is impatient.store
