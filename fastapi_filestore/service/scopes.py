"""Check that the scope of a service is a condition, and says something of the model's rows only."""

from sqlalchemy import ColumnElement, inspect, literal, select

from fastapi_filestore.errors import InvalidScopeError
from fastapi_filestore.orm.mapped_types import AnyMapper


def check_scope(model: type, scope: object) -> ColumnElement[bool]:
    """Return a scope; `InvalidScopeError` if it is no condition, or one that a query would misread."""
    if not isinstance(scope, ColumnElement):
        # A comparison that Python made, such as `is`, or a forgotten return: neither may show a row to anybody.
        raise InvalidScopeError(
            f"The scope of {model.__name__} is {scope!r}, which is no condition: return one on its columns, such as "
            f"`return {model.__name__}.owner_id == user.id`, or sqlalchemy.true() for all rows."
        )
    mapper: AnyMapper = inspect(model)
    own = [*mapper.tables, mapper.persist_selectable, mapper.selectable]
    others = [str(table) for table in select(literal(1)).where(scope).get_final_froms() if table not in own]
    if others:
        # Beside the rows these would be a join, which repeats a row for each row of the other table.
        raise InvalidScopeError(
            f"The scope of {model.__name__} reads {' and '.join(others)}, too: put that into in_(select(...)) or "
            "exists()."
        )
    return scope
