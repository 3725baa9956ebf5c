"""The provider behind `Depends(get_document_service)`: a service for the request, committed before the response."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.service import FileService
from fastapi_filestore.web.problems import problem_of

ModelT = TypeVar("ModelT")


def service_provider(
    get_session: Callable[..., Any], make: Callable[[Any], FileService[ModelT]]
) -> Callable[..., FileService[ModelT]]:
    """Build the provider from the user's session dependency and what makes a service of a session.

    FastAPI ends a dependency with `yield` after the response, where a failing commit would follow a 201. The inner
    one has the scope of the function instead; the outer one is plain, so that routes may depend on it as they like.
    """

    async def unit_of_work(session: Annotated[Any, Depends(get_session)]) -> AsyncIterator[FileService[ModelT]]:
        service = make(session)
        try:
            yield service
            await service.commit()
        except FilestoreError as error:
            await service.rollback()
            raise problem_of(error) from error
        except BaseException:
            await service.rollback()
            raise

    def provide(service: Annotated[Any, Depends(unit_of_work, scope="function")]) -> FileService[ModelT]:
        return service  # type: ignore[no-any-return]

    return provide
