"""The soak's place on the tests' servers."""

from uuid import uuid4

from tests.servers.postgres import Postgres
from tests.servers.seaweedfs import SeaweedFS
from tests.soak.place import Place
from tests.storage.stores import QUICK_RETRIES


def place_on(postgres: Postgres, seaweedfs: SeaweedFS, *, blocking: bool = False) -> Place:
    """Return a place on running servers, with a prefix of its own in the bucket."""
    options: dict[str, object] = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "retry_config": QUICK_RETRIES,
    }
    return Place(postgres.url("postgresql+asyncpg"), f"s3://{seaweedfs.bucket}/{uuid4().hex}", options, blocking)
