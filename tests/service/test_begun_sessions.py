"""Sessions in a block of `begin()`, whose transaction a service commits."""

from typing import Any

import pytest

from fastapi_filestore import ConfigurationError, FileObject, FileService
from tests.web.models import Document
from tests.web.site import Site


async def test_a_session_of_begin(place: Site) -> None:
    """After the commit it is of no use, and who reads or writes is told what to write instead of begin()."""
    begun: Any = place.sessions.begin()
    async with begun if hasattr(begun, "__aenter__") else _Blocking(begun) as session:
        service = FileService(session, model=Document)
        file = FileObject(content=b"x")
        await service.create({"title": "t", "file": file})
        await service.commit()
        for call in (service.list(), service.create({"title": "u", "file": FileObject(content=b"y")})):
            with pytest.raises(ConfigurationError, match=r"no `Session\.begin\(\)`"):
                await call

        assert await file.get_content_async() == b"x"

    assert await place.rows() == 1


class _Blocking:
    """A context manager that blocks, as one that is awaited."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aenter__(self) -> Any:
        return self.inner.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.inner.__exit__(*error)
