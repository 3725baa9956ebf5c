"""The names of operations, which generators of clients call functions by: no two of an application have the same."""

from fastapi import APIRouter, FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject
from tests.web import models
from tests.web.filestores import nothing


class Base(DeclarativeBase):
    """Tables of these tests."""


class Document(Base):
    """A class with the name of one of another module."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


class Portfolio(Base):
    """A row with a list."""

    __tablename__ = "portfolios"

    id: Mapped[int] = mapped_column(primary_key=True)
    works: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", multiple=True))


class PortfolioWork(Base):
    """A model whose operations would have the names of those of another one's column."""

    __tablename__ = "portfolio_works"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


def names_of(app: FastAPI) -> dict[str, str]:
    """Return the names of an application's operations, by method and path, each of which is there once."""
    operations = {
        f"{method} {path}": operation["operationId"]
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    assert len(set(operations.values())) == len(operations)
    return operations


def test_operations_of_columns_and_models_have_names_of_their_own() -> None:
    """`works` of a portfolio and a model PortfolioWork are two things, wherever they are included."""
    files, app = Filestore(nothing), FastAPI()
    for prefix in ("/v1", "/v2"):
        app.include_router(files.router(Portfolio), prefix=f"{prefix}/portfolios")
        app.include_router(files.router(PortfolioWork, identity="work_id"), prefix=f"{prefix}/works")
    names = names_of(app)

    assert names["get /v1/portfolios/{identity}/works"] == "list_portfolio_works"
    assert names["get /v1/works/"] == "list_portfolio_works_at_v1_works"
    assert names["get /v2/works/"] == "list_portfolio_works_at_v2_works"
    assert names["get /v2/works/{work_id}"] == "read_portfolio_work_at_v2_works"


def test_two_filestores_of_one_application_name_operations_apart() -> None:
    """Also those of signed URLs; what is included first has the short names, and so has another application."""
    app, other, stores = FastAPI(), FastAPI(), (Filestore(nothing), Filestore(nothing))
    for prefix, files in zip(("/documents", "/papers"), stores, strict=True):
        app.include_router(files.router(models.Document, uploads=True), prefix=prefix)
        app.include_router(files.signed_router(), prefix=prefix)
    other.include_router(stores[0].router(models.Document), prefix="/papers")
    names = names_of(app)

    assert names["post /documents/"] == names_of(other)["post /papers/"] == "create_document"
    assert names["post /papers/"] == "create_document_at_papers"
    assert names["get /documents/filestore"] == "download_by_url"
    assert names["get /papers/filestore"] == "download_by_url_at_papers"


def test_one_router_at_several_places_has_names_for_each() -> None:
    """Below a prefix, without one, and in a router that is included itself."""
    app, inner, router = FastAPI(), APIRouter(prefix="/v2"), Filestore(nothing).router(models.Document)
    inner.include_router(router, prefix="/documents")
    app.include_router(router)
    app.include_router(router, prefix="/documents")
    app.include_router(inner)
    names = names_of(app)

    assert names["post /"] == "create_document"
    assert names["post /documents/"] == "create_document_at_documents"
    assert names["post /v2/documents/"] == "create_document_at_v2_documents"


def test_models_of_one_name_in_two_modules_have_operations_of_their_own() -> None:
    """The second one has its prefix in all names, wherever its class is from."""
    app, files = FastAPI(), Filestore(nothing)
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(models.Document, uploads=True), prefix="/old")
    names = names_of(app)

    assert names["post /documents/"] == "create_document"
    assert names["post /old/"] == "create_document_at_old"
    assert names["post /old/uploads"] == "begin_document_upload_at_old"


def test_names_of_an_applications_own_operations_are_left_to_it() -> None:
    """A route that is called `create_document` keeps its name, and ours has its prefix; a clash of that is numbered."""
    app, inner = FastAPI(), APIRouter(generate_unique_id_function=lambda route: route.name)

    @app.post("/own", operation_id="create_document")
    async def create() -> None:
        raise NotImplementedError

    @inner.get("/own")
    async def create_document_at_documents() -> None:
        raise NotImplementedError

    app.include_router(inner)
    app.include_router(Filestore(nothing).router(models.Document), prefix="/documents")
    names = names_of(app)

    assert names["post /own"] == "create_document"
    assert names["post /documents/"] == "create_document_at_documents_2"
    assert names["get /documents/"] == "list_documents"


def test_an_applications_own_function_names_all_operations() -> None:
    """Those of models and of signed URLs are called as the application calls its routes."""
    app, files = FastAPI(generate_unique_id_function=lambda route: f"my_{route.name}"), Filestore(nothing)
    app.include_router(files.router(models.Document), prefix="/documents")
    app.include_router(files.signed_router())
    names = names_of(app)

    assert names["post /documents/"] == "my_document_create"
    assert names["get /filestore"] == "my_signed_download"
