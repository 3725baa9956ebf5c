"""Tell FastAPI what to do that takes a service's class for a dependency, and its session for a request's parameter."""

from typing import NoReturn

from fastapi_filestore.errors import ConfigurationError

NO_PARAMETER = (
    "A FileService needs the session of its request, which its class alone does not know: write "
    "Annotated[FileService[Document], Depends(files.service(Document))] instead of Depends() or Depends(FileService)."
)


class NoParameter:
    """Stands beside a type that no request can fill; pydantic asks it, before FastAPI makes up an error of its own."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> NoReturn:
        """Raise `ConfigurationError` where a route is defined that asks for it."""
        raise ConfigurationError(NO_PARAMETER)
