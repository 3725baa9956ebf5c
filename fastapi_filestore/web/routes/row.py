"""Add the routes of one row and of its file: read, change, delete; download, replace.

Each endpoint is a unit of work that ends before its response is made, so that no download holds a connection.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from fastapi_filestore.errors import FileNotSetError, InvalidFieldsError, MissingFileError, StaleFileError
from fastapi_filestore.intake.nameless import Replaced
from fastapi_filestore.orm.column.attributes import FileAttribute
from fastapi_filestore.service import FileService
from fastapi_filestore.web.header_fields import MULTIPART, media_type
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.preconditions import is_conditional, require_file_state, require_row_state
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.form_fields import validate_json, values_of
from fastapi_filestore.web.routes.claims import receiving_file
from fastapi_filestore.web.routes.openapi.answers import FILE_RESPONSES, HEAD_RESPONSES, REDIRECTS
from fastapi_filestore.web.routes.openapi.bodies import file_body, json_request
from fastapi_filestore.web.routes.openapi.parameters import OF_CHANGES, OF_DOWNLOADS, OF_REPLACEMENTS, OF_ROW_CHANGES
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, head_problems, problems
from fastapi_filestore.web.routes.operations import with_article
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import NoFields

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
Key: TypeAlias = Any
"""The annotation of a row's primary key in a path: its type, and what the path calls it."""
BYTES_OF_ID: Final = 40
"""Room for an id in the order of a list: 22 characters, quotes and a comma, and how the JSON is laid out."""
UPLOADING: Final = (400, 403, 404, 408, 409, 411, 412, 413, 415, 422, 507)
"""What routes answer that store files for a row that is there already, and can't."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """A column of one file behind routes: what their operations are called, and whether its path is `/file`."""

    attribute: FileAttribute
    path: str
    is_main: bool
    is_described: bool = True

    def operation(self, model: str, verb: str) -> str:
        """Return what its operation of a verb is called."""
        return f"{model}_{verb}" if self.is_main else f"{model}_{verb}_{self.attribute.name}"

    @property
    def noun(self) -> str:
        """What summaries call it."""
        return "file" if self.is_main else self.attribute.name


def add_read(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the routes that show a row."""

    @router.head(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_read_head",
        include_in_schema=False,
    )
    @router.get(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_read",
        summary=f"Read {with_article(resource.name)}",
        responses=problems(404, 422),
    )
    async def read(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        base = path_above(request.scope, 1)
        async with service.unit_of_work():
            return await resource.show(service, await service.get(identity), base)


def add_update(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the route that changes fields of a row, and the order of its lists."""
    lists = [attribute.name for attribute in resource.attributes if attribute.type.multiple]
    ids = sum(attribute.type.rules.max_files or 0 for attribute in resource.attributes)

    @router.patch(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_update",
        summary=f"Change fields of {with_article(resource.name)}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422),
        openapi_extra={**json_request(resource.schemas.update), **OF_ROW_CHANGES},
    )
    async def update(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        async with service.unit_of_work():
            await service.require(identity)
            require_row_state(request)
            await service.end_reading()
            limits = resource.limits()
            # Each list that says how many files it holds has room for all of their ids.
            limits = replace(limits, json_values=limits.json_values + ids)
            body = await json_body(request, limits.json_body_size + ids * BYTES_OF_ID, pace=limits.pace)
            try:
                fields = validate_json(resource.schemas.update, body, limits=limits, orders=lists)
            except InvalidFieldsError as error:
                raise resource.name_columns(error, "update") from None
            values = dict(resource.settable(values_of(fields, only_set=True)))
            orders = {name: order_of(name, values.pop(name)) for name in lists if name in values}
            async with service.turn():
                row = await service.update(identity, values)
                for name, order in orders.items():
                    row = await service.reorder(identity, order, field=name)
                answer = await resource.show(service, row, path_above(request.scope, 1), changed=True)
                await service.commit()
            return answer


def order_of(name: str, value: object) -> list[str]:
    """Return the ids of a list in their new order; `InvalidFieldsError` if it is something else."""
    items: list[object] = list(value) if isinstance(value, list | tuple) else [None]
    if not all(isinstance(item, str) for item in items):
        raise InvalidFieldsError([{"loc": (name,), "msg": "This is no list of ids", "type": "not_an_order"}])
    return [str(item) for item in items]


def add_delete(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the route that deletes a row and its file."""

    @router.delete(
        path,
        status_code=204,
        name=f"{resource.name}_delete",
        summary=f"Delete {with_article(resource.name)} and its {'file' if resource.takes_one_file else 'files'}",
        responses=problems(404, 409, 412, 422),
        openapi_extra=OF_ROW_CHANGES,
    )
    async def delete(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> None:
        async with service.unit_of_work():
            if is_conditional(request):
                await service.require(identity)
                require_row_state(request)
            async with service.turn():
                await service.delete(identity)
                await service.commit()


def add_file(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, file: RowFile
) -> None:
    """Add the routes of the one file of a column."""
    add_download(router, resource, provider, key, file)
    add_replace(router, resource, provider, key, file)
    if file.attribute.column.nullable or not file.is_main:
        add_clear(router, resource, provider, key, file)


def add_download(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: RowFile
) -> None:
    """Add the routes that serve the file of a row."""

    async def read_file(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> Response:
        async with service.unit_of_work():
            file = await service.file(identity, field=shown.attribute.name)
        return await resource.download(request, file)

    serve_file(
        router,
        resource,
        shown.path,
        read_file,
        names=(shown.operation(resource.name, "download"), shown.operation(resource.name, "download_head")),
        summaries=(
            f"Download the {shown.noun} of {with_article(resource.name)}",
            f"Read the headers of {with_article(resource.name)}'s {shown.noun}",
        ),
        is_described=shown.is_described,
    )


def serve_file(
    router: APIRouter,
    resource: Resource[ModelT],
    path: str,
    read_file: Callable[..., Awaitable[Response]],
    *,
    names: tuple[str, str],
    summaries: tuple[str, str],
    is_described: bool = True,
) -> None:
    """Serve a file at a path to GET and to HEAD, each with its name and its summary, in this order."""
    redirects = REDIRECTS if resource.redirects else {}
    for add_method, name, summary, responses in (
        (
            router.get,
            names[0],
            summaries[0],
            {**FILE_RESPONSES, **redirects, **problems(404, 412, 416, 422, examples=OF_STORES)},
        ),
        (router.head, names[1], summaries[1], {**HEAD_RESPONSES, **head_problems(404, 412, 422)}),
    ):
        add_method(
            path,
            response_class=Response,
            name=name,
            include_in_schema=is_described,
            summary=summary,
            responses=responses,
            openapi_extra=OF_DOWNLOADS,
        )(read_file)


def add_replace(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: RowFile
) -> None:
    """Add the route that replaces the file of a row."""
    field = shown.attribute.name

    @router.put(
        shown.path,
        response_model=resource.schemas.read,
        name=shown.operation(resource.name, "replace"),
        include_in_schema=shown.is_described,
        summary=f"Replace the {shown.noun} of {with_article(resource.name)}",
        dependencies=resource.claiming,
        responses=problems(*UPLOADING, examples=(MissingFileError, StaleFileError, *OF_STORES)),
        openapi_extra={**file_body(resource, shown.attribute, takes_uploads=True), **OF_REPLACEMENTS},
    )
    async def replace_file(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        conditional = is_conditional(request)
        async with service.unit_of_work():
            # Before a gigabyte is read for nothing.
            policy = resource.policy(NoFields, attributes=[shown.attribute])
            if conditional or media_type(request.headers) != MULTIPART:
                old = await service.peek_file(identity, field=field)
                require_file_state(request, old)
                policy = replace(policy, replaced=None if old is None else Replaced(old.filename, old.content_type))
            else:
                await service.require(identity)
            await service.end_reading()
            arriving = receiving_file(request, policy, resource.uploads, service, field=field, identity=identity)
            async with arriving as arrived, service.turn():
                if conditional:
                    # Now that nobody else can write: it may have been replaced while this one was on its way.
                    require_file_state(request, await service.lock_file(identity, field=field))
                (file,) = await arrived.taken(path_above(request.scope, 1))
                row = await service.replace(identity, file, field=field)
                answer = await resource.show(service, row, path_above(request.scope, 2), changed=True)
                await service.commit()
            return answer


def add_clear(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], key: Key, shown: RowFile
) -> None:
    """Add the route that takes the file from a row; of a column that can't be empty it says so."""
    field, is_nullable = shown.attribute.name, shown.attribute.column.nullable

    @router.delete(
        shown.path,
        status_code=204,
        name=shown.operation(resource.name, "clear"),
        summary=f"Delete the {shown.noun} of {with_article(resource.name)}",
        responses=problems(404, 409, 412, 422),
        openapi_extra=OF_CHANGES,
        include_in_schema=shown.is_described and bool(is_nullable),
    )
    async def clear(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> None:
        async with service.unit_of_work():
            await service.require(identity)
            if not is_nullable:
                message = f"Every {resource.name} has one: replace it with PUT, or delete the whole {resource.name}"
                raise InvalidFieldsError([{"loc": (field,), "msg": message, "type": "not_nullable"}])
            async with service.turn():
                file = await service.lock_file(identity, field=field)
                require_file_state(request, file)
                if file is None:
                    raise FileNotSetError(resource.model.__name__, field)
                await service.update(identity, {field: None})
                await service.commit()
