"""Keep rows and their files: `FileService` is called by routes, and by any other code."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Annotated, ParamSpec, TypeVar, get_args, get_origin

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema
from sqlalchemy import ColumnElement, inspect
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

import fastapi_filestore.orm.unit_of_work.listeners  # noqa: F401 # pyright: ignore[reportUnusedImport] - it listens from now on
from fastapi_filestore.concurrency.awaited import must_await
from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.errors import ConfigurationError, FileNotSetError, PendingContentError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.no_field import no_field
from fastapi_filestore.intake.upload import Uploads
from fastapi_filestore.orm.column.attributes import file_attribute, file_attributes
from fastapi_filestore.orm.ledger.reservations import expect_upload
from fastapi_filestore.orm.sessions import AnySession
from fastapi_filestore.orm.unit_of_work.session_loops import REMEDY
from fastapi_filestore.service.lists import FileLists
from fastapi_filestore.service.new_rows import build, check_names
from fastapi_filestore.service.pages import DEFAULT_LIMIT, MAX_LIMIT, PAGE_BYTES, Order, Page
from fastapi_filestore.service.parameters import NoParameter
from fastapi_filestore.service.rows import Rows, load_columns
from fastapi_filestore.service.scopes import check_scope
from fastapi_filestore.service.sorting import requested_terms, sort_terms
from fastapi_filestore.service.unit import Unit
from fastapi_filestore.storage.backend import Announcement, ObjectStream, SignedURL

ModelT = TypeVar("ModelT")
T = TypeVar("T")
P = ParamSpec("P")

NO_DEFAULTS: Mapping[str, object] = MappingProxyType({})


class FileService(FileLists[ModelT]):
    """Creates, reads, replaces and deletes rows of one model together with their files.

    It holds a session, sync or async, and commits nothing on its own: as a dependency it is committed before the
    response is sent; elsewhere call `commit`. Bytes move before the session is touched, so a long upload holds
    neither a connection nor a lock.

    Attributes:
        model: The mapped class; `class DocumentService(FileService[Document])` knows it from its base.
        scope: What the rows that it works with fulfil: others are not found, and no row is written that would be one.
        defaults: Values that new rows get where `create` is given none.
        order_by: Columns that listings are ordered by, `-` before one for descending, such as `-created_at,title`;
            primary key descending if None. Rows without a value come last.
        sortable: Columns that a listing may be sorted by instead, if it is asked to be.
        page_bytes: Bytes of the rows of one page of a listing, more or less, as JSON; a page has at least one row.
        hold_session: Whether a transaction is kept while a client sends its file, even if it has only read.
    """

    order_by: str | None = None
    sortable: Sequence[str] = ()
    page_bytes: int = PAGE_BYTES
    hold_session = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, method in list(vars(cls).items()):
            if iscoroutinefunction(method) and not name.startswith("_"):
                setattr(cls, name, must_await(method))
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is FileService and isinstance(get_args(base)[0], type):
                cls.model = get_args(base)[0]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Say what gives one to a route."""
        right = "service: Annotated[FileService[Document], Depends(files.service(Document))]"
        schema: CoreSchema = no_field(source, handler, name="FileService", right=right)
        return schema

    def __init__(
        self,
        session: Annotated[AnySession, NoParameter()],
        *,
        model: type[ModelT] | None = None,
        scope: ColumnElement[bool] | None = None,
        defaults: Mapping[str, object] = NO_DEFAULTS,
    ) -> None:
        """Serve a model's rows with a session.

        Args:
            session: Any session, sync or async.
            model: The mapped class; it may be left out if the service's class knows it.
            scope: A condition on its columns; other tables go into it as `in_(select(...))` or `exists()`.
            defaults: Values of new rows by attribute, such as their owner.
        """
        if model is not None:
            self.model = model
        elif not hasattr(self, "model"):
            raise ConfigurationError(
                f"{type(self).__name__} knows no model: pass model=, or subclass FileService[Model]."
            )
        self.session, self._unit = session, Unit()
        if isinstance(session, AsyncSession | async_scoped_session):
            self._made = HomeLoop(remedy=REMEDY)
        self.scope = None if scope is None else check_scope(self.model, scope)
        self.defaults = dict(defaults)

    # -- rows ----------------------------------------------------------------------------------------

    @must_await
    async def create(self, data: Mapping[str, object] | ModelT) -> ModelT:
        """Store the files, then write the row.

        Args:
            data: The row's values by attribute, or the row. A file may be a FileObject, an Upload or an UploadFile.

        Raises:
            InvalidFieldsError: The model lacks one of the attributes.
            OutOfScopeError: It would be outside of the scope; the transaction is rolled back.
            RowConflictError: The database refuses the row.
            StorageError: A file can't be stored.
        """
        part = self._begin(writing=True)
        async with AsyncExitStack() as stack:
            if isinstance(data, Mapping):
                values = await self._store_uploads(data, self._values_of_new_row, stack)
                row = build(self.model, {**self.defaults, **values})
            else:
                row = data
                for name, value in self.defaults.items():
                    if name not in inspect(row).dict:
                        setattr(row, name, value)
            files = [file for attribute in file_attributes(inspect(row).mapper) for file in attribute.files(row)]
            await self._store(files, part, stack)
            await self._run(part, self._rows.add, row)
        return row

    @must_await
    async def get(self, identity: object) -> ModelT:
        """Return a row by primary key; `RowNotFoundError` if there is none."""
        return await self._run(self._begin(), self._rows.fetch, identity)

    @must_await
    async def require(self, identity: object) -> None:
        """Raise `RowNotFoundError` if there is no such row; no connection is held for it afterwards."""
        await self._run(self._begin(), self._rows.require, identity)

    @must_await
    async def list(
        self, *, limit: int = DEFAULT_LIMIT, after: str | None = None, sort: str | Iterable[str] | None = None
    ) -> Page[ModelT]:
        """Return a page of rows; `after` is the cursor that the page before it gave.

        It has fewer than `limit` where they would take more than `page_bytes`;
        the last page is the one without a cursor.

        Args:
            limit: Rows of the page, at most.
            after: The cursor of the page before.
            sort: Columns to sort by, instead of `order_by`: `-created_at,title`, or a list of such.

        Raises:
            InvalidCursorError: The cursor is not one of this listing, or of this sort.
            InvalidFieldsError: A column of `sort` is not among those of `sortable`.
        """
        if sort and (terms := requested_terms(self.model, sort, self.sortable)):
            order = Order(self.model, terms, self.scope, label=",".join(terms))
        else:
            order = Order(self.model, sort_terms(self.order_by or ""), self.scope)
        return await self._run(
            self._begin(), order.page, limit=max(1, min(limit, MAX_LIMIT)), after=after, most_bytes=self.page_bytes
        )

    @must_await
    async def update(self, identity: object, data: Mapping[str, object]) -> ModelT:
        """Set attributes of a row, files included; the files they replace go when this is committed.

        Raises:
            RowNotFoundError: There is no such row in the scope.
            OutOfScopeError: It would leave the scope; the transaction is rolled back.
        """
        part = self._begin(writing=True)
        check_names(self.model, data)
        if any(isinstance(value, Uploads) for value in data.values()):
            await self.require(identity)
        async with AsyncExitStack() as stack:
            attributes = file_attributes(inspect(self.model))
            known = await self._values_of_row(identity, data, attributes)
            values = await self._store_uploads(data, known, stack)
            files = list[FileObject]()
            for attribute in attributes:
                if values.get(attribute.name) is not None:
                    values[attribute.name] = attribute.type.coerce(values[attribute.name])
                    files += attribute.type.files(values[attribute.name], of=known, field=attribute.name)
            await self._store(files, part, stack, identity)
            return await self._run(part, self._rows.change, identity, values)

    @must_await
    async def replace(self, identity: object, file: object, *, field: str | None = None) -> ModelT:
        """Put another file in a row's file column; `field` names the column if there are several."""
        return await self.update(identity, {file_attribute(self.model, field).name: file})

    @must_await
    async def delete(self, identity: object, *, purge: bool = False) -> None:
        """Delete a row; its files go when this is committed, or are kept as long as the ledger says.

        Args:
            identity: The row's primary key.
            purge: Keep none of the files that go with it: who has the right to be forgotten can't wait.
        """
        await self._run(self._begin(writing=True), self._rows.remove, identity, purge=purge)

    # -- files ---------------------------------------------------------------------------------------

    @must_await
    async def file(self, identity: object, *, field: str | None = None) -> FileObject:
        """Return the file of a row.

        Raises:
            FileNotSetError: The column is empty.
            UnreadableFileError: It holds something else.
        """
        attribute = file_attribute(self.model, field)
        row = await self.get(identity)
        if attribute.name not in inspect(row).dict:
            await self.loading(partial(load_columns, [row], [attribute.name]))
        files = attribute.files(row)
        if not files:
            raise FileNotSetError(self.model.__name__, attribute.name)
        files[0].refuse_unreadable()
        return files[0]

    @must_await
    async def peek_file(self, identity: object, *, field: str | None = None) -> FileObject | None:
        """Return the file of a row, None if the column is empty; no connection is held for it afterwards."""
        files = await self._run(self._begin(), self._rows.peek_files, identity, file_attribute(self.model, field))
        return files[0] if files else None

    @must_await
    async def lock_file(self, identity: object, *, field: str | None = None) -> FileObject | None:
        """Return the file that a row holds in the database now, and keep others from changing it until the end.

        The end is that of the transaction, so a decision that depends on the file holds for what is written next.

        Raises:
            RowNotFoundError: There is no such row in the scope.
        """
        files = await self._run(
            self._begin(writing=True), self._rows.lock_files, identity, file_attribute(self.model, field)
        )
        return files[0] if files else None

    @must_await
    async def open(
        self, identity: object, *, field: str | None = None, start: int = 0, end: int | None = None
    ) -> ObjectStream:
        """Open the file of a row, or its bytes from `start` up to but without `end`, for streaming."""
        return await (await self.file(identity, field=field)).open_async(start=start, end=end)

    @must_await
    async def url(self, identity: object, *, field: str | None = None, expires_in: int | None = None) -> str:
        """Return a signed URL of the file of a row that lives for `expires_in` seconds.

        If that is None, it is FILESTORE_URL_EXPIRY.
        """
        return await (await self.file(identity, field=field)).sign_async(expires_in=expires_in)

    @must_await
    async def sign_upload(
        self,
        file: FileObject,
        *,
        field: str | None = None,
        expires_in: int | None = None,
        max_size: int | None = None,
        once: Announcement | None = None,
    ) -> SignedURL:
        """Sign a URL that a client can store a file at by itself, for a row that is written later.

        Keep `file.path`: `FileObject(path=...)` in `create`, `update`, `replace` or `append` takes what was stored. The
        ledger knows of it once this is committed: what no row has taken an hour after the URL's end is cleared away.

        Args:
            file: What is to be stored: its filename and content type, and no content.
            field: The file column that it is for, if there are several.
            expires_in: How long the URL lives, in seconds; FILESTORE_URL_EXPIRY if None.
            max_size: The most bytes, if that is less than what the column takes.
            once: What the client announced. Where the store has URLs that write once, and heeds them, the URL is one:
                the row takes what was stored as it is, judged and not copied. Elsewhere it is as without.

        Raises:
            PendingContentError: The file is stored already.
            SigningUnavailableError: The backend can't sign and no signing key is configured.
        """
        part = self._begin(writing=True)
        column = file_attribute(self.model, field).type
        if file.is_stored:
            raise PendingContentError(f"{file.filename!r} can't be uploaded to: {file.state.value}.")
        column.files([file] if column.multiple else file)
        if once is not None and not isinstance(column.folder, str):
            # Where the folder depends on a row, what was stored is copied there once the row is known.
            once = None
        limit = min((size for size in (max_size, column.rules.max_size) if size is not None), default=None)
        signed = await file.signed_url_async(expires_in=expires_in, method="PUT", max_size=limit, once=once)
        await self._run(part, expect_upload, inspect(self.model), file, until=signed.expires_at)
        return signed

    @property
    def _rows(self) -> Rows[ModelT]:
        return Rows(self.model, self.scope)
