"""Add the routes of a column of several files: list, append, and archive; download, replace and delete one of them.

A file is named by its id, or for reading by its position: `/pages/0` is the first one now, and another one once the
list has changed, so nothing is written by it. An id has 22 characters, and a position is a shorter number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel

from fastapi_filestore.errors import ListedFileNotFoundError, MissingFileError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.identity import ID_LENGTH
from fastapi_filestore.intake.nameless import Replaced
from fastapi_filestore.orm.column.attributes import FileAttribute
from fastapi_filestore.service import FileService
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.preconditions import is_conditional, require_file_state, require_row_state
from fastapi_filestore.web.problems import METHOD_NOT_ALLOWED, Problem
from fastapi_filestore.web.routes.claims import receiving_file, receiving_files
from fastapi_filestore.web.routes.openapi.answers import ARCHIVE_HEAD_RESPONSES, ARCHIVE_RESPONSES, LOCATION_HEADER
from fastapi_filestore.web.routes.openapi.bodies import file_body, files_body
from fastapi_filestore.web.routes.openapi.parameters import OF_CHANGES, OF_ROW_CHANGES
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, head_problems, problems
from fastapi_filestore.web.routes.operations import with_article
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.row import UPLOADING, Key, serve_file
from fastapi_filestore.web.routes.schemas import NoFields
from fastapi_filestore.web.serving.zip_downloads import zip_download

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
_OF_UPLOADS = (MissingFileError, *OF_STORES)
WrittenID = Annotated[
    str,
    Path(
        description="The `id` of the file; a position will not do.",
        json_schema_extra={"pattern": f"^[A-Za-z0-9_-]{{{ID_LENGTH}}}$"},
    ),
]


@dataclass(frozen=True, slots=True)
class ListOfRow:
    """A column of several files behind routes, and its path."""

    attribute: FileAttribute
    path: str

    @property
    def file_path(self) -> str:
        """The path of one of its files."""
        return f"{self.path}/{{file_id}}"


def add_list(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the routes of a list and of its files."""
    add_readable_list(router, resource, provider, key, shown)
    for add_route in (add_append, add_replace, add_remove):
        add_route(router, resource, provider, key, shown)


def add_readable_list(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the routes that show a list, and serve its files."""
    for add_route in (add_files, add_archive, add_download):
        add_route(router, resource, provider, key, shown)


def add_files(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the routes that show the files of a list."""
    column = shown.attribute
    name = f"{resource.name}_list_{column.name}"

    @router.head(shown.path, response_model=list[FileObject], name=f"{name}_head", include_in_schema=False)
    @router.get(
        shown.path,
        response_model=list[FileObject],
        name=name,
        summary=f"List the {column.name} of {with_article(resource.name)}",
        responses=problems(404, 422),
    )
    async def list_files(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> Sequence[FileObject]:
        async with service.unit_of_work():
            files = await service.listed_files(identity, field=column.name)
        base = path_above(request.scope, 0)
        for file in files:
            file.url = file.public_url or f"{base}/{file.id}"
        return files


def add_append(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the route that adds files to the end of a list."""
    column = shown.attribute

    @router.post(
        shown.path,
        status_code=201,
        response_model=resource.schemas.read,
        name=f"{resource.name}_append_{column.name}",
        summary=f"Add to the {column.name} of {with_article(resource.name)}",
        dependencies=resource.claiming,
        responses={201: LOCATION_HEADER, **problems(*UPLOADING, examples=_OF_UPLOADS)},
        openapi_extra={**files_body(resource, [column]), **OF_ROW_CHANGES},
    )
    async def append(
        request: Request,
        response: Response,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        async with service.unit_of_work():
            # Before a gigabyte is read for nothing.
            present = await service.listed_files(identity, field=column.name)
            require_row_state(request)
            column.type.rules.check_count(len(present) + 1, field=column.name)
            await service.end_reading()
            arriving = receiving_files(
                request,
                resource.policy(NoFields, attributes=[column]),
                resource.uploads,
                service,
                field=column.name,
                taken=replace(resource.field_of(column), is_needed=True),
                identity=identity,
            )
            async with arriving as arrived, service.turn():
                new = await arrived.taken(path_above(request.scope, 1))
                row = await service.append(identity, new, field=column.name)
                place = path_above(request.scope, 0)
                response.headers["Location"] = place if len(new) > 1 else f"{place}/{new[0].id}"
                answer = await resource.show(service, row, path_above(request.scope, 2), changed=True)
                await service.commit()
            return answer


def add_archive(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the routes that serve a list as one ZIP archive; an attribute has no dot, so none is called like that."""
    column = shown.attribute
    name = f"{resource.name}_archive_{column.name}"

    async def read_archive(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> Response:
        async with service.unit_of_work():
            files = await service.listed_files(identity, field=column.name)
        return await zip_download(request, files, filename=f"{column.name}.zip")

    router.get(
        f"{shown.path}.zip",
        response_class=Response,
        name=name,
        summary=f"Download the {column.name} of {with_article(resource.name)} as one ZIP archive",
        responses={**ARCHIVE_RESPONSES, **problems(404, 422, examples=OF_STORES)},
    )(read_archive)
    router.head(
        f"{shown.path}.zip",
        response_class=Response,
        name=f"{name}_head",
        summary=f"Read the headers of the ZIP archive of {with_article(resource.name)}'s {column.name}",
        responses={**ARCHIVE_HEAD_RESPONSES, **head_problems(404, 422)},
    )(read_archive)


def add_download(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the routes that serve a file of a list, by its id or its position."""
    column = shown.attribute
    name = f"{resource.name}_download_{column.name}"

    async def read_file(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        file_id: str,
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> Response:
        async with service.unit_of_work():
            if is_position(file_id):
                files = await service.listed_files(identity, field=column.name)
                if int(file_id) >= len(files):
                    raise ListedFileNotFoundError(resource.model.__name__, column.name, file_id)
                file = files[int(file_id)]
            else:
                file = await service.listed_file(identity, file_id, field=column.name)
        return await resource.download(request, file)

    noun = f"a file of the {column.name} of {with_article(resource.name)}"
    serve_file(
        router,
        resource,
        shown.file_path,
        read_file,
        names=(name, f"{name}_head"),
        summaries=(f"Download {noun}", f"Read the headers of {noun}"),
    )


def add_replace(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the route that puts another file in the place of one of a list."""
    column = shown.attribute

    @router.put(
        shown.file_path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_replace_{column.name}",
        summary=f"Replace a file of the {column.name} of {with_article(resource.name)}",
        dependencies=resource.claiming,
        responses=problems(405, *UPLOADING, examples=_OF_UPLOADS),
        openapi_extra={**file_body(resource, column), **OF_CHANGES},
    )
    async def replace_file(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        file_id: WrittenID,
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        refuse_position(request, file_id)
        async with service.unit_of_work():
            # Before a gigabyte is read for nothing.
            old = await service.listed_file(identity, file_id, field=column.name)
            require_file_state(request, old)
            await service.end_reading()
            policy = resource.policy(NoFields, attributes=[column])
            replaced = Replaced(old.filename, old.content_type)
            one_file = replace(policy, limits=replace(policy.limits, files=1), replaced=replaced)
            arriving = receiving_file(
                request, one_file, resource.uploads, service, field=column.name, identity=identity
            )
            async with arriving as arrived, service.turn():
                if is_conditional(request):
                    # Now that nobody else can write: it may have been replaced while this one was on its way.
                    file = await service.listed_file(identity, file_id, field=column.name, lock=True)
                    require_file_state(request, file)
                (new,) = await arrived.taken(path_above(request.scope, 2))
                row = await service.exchange(identity, file_id, new, field=column.name)
                answer = await resource.show(service, row, path_above(request.scope, 3), changed=True)
                await service.commit()
            return answer


def add_remove(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: ListOfRow
) -> None:
    """Add the route that takes a file out of a list."""
    column = shown.attribute

    @router.delete(
        shown.file_path,
        status_code=204,
        name=f"{resource.name}_remove_{column.name}",
        summary=f"Delete a file of the {column.name} of {with_article(resource.name)}",
        responses=problems(404, 405, 409, 412, 422),
        openapi_extra=OF_CHANGES,
    )
    async def remove(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        file_id: WrittenID,
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> None:
        refuse_position(request, file_id)
        async with service.unit_of_work(), service.turn():
            file = await service.listed_file(identity, file_id, field=column.name, lock=True)
            require_file_state(request, file)
            await service.remove(identity, file, field=column.name)
            await service.commit()


def is_position(file_id: str) -> bool:
    """Tell whether a segment of a path is a position in a list, and no id."""
    return len(file_id) < ID_LENGTH and file_id.isascii() and file_id.isdigit()


def refuse_position(request: Request, file_id: str) -> None:
    """Refuse to write by a position, where another file may be by now."""
    if is_position(file_id):
        detail = f"{request.method} by position could hit another file than the one that was there: use its id."
        raise Problem(METHOD_NOT_ALLOWED, detail, {}, {"Allow": "GET, HEAD"})
