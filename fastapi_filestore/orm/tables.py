"""Whether a database has a table as it is described."""

from sqlalchemy import Inspector, Table

from fastapi_filestore.orm.stored_object import StoredObject


def file_columns_of(table: Table) -> list[str]:
    """Return the names of a table's columns that hold files."""
    return [column.name for column in table.columns if isinstance(column.type, StoredObject)]


def is_in_database(database: Inspector, table: Table) -> bool:
    """Tell whether a table, or a view that is read as one, is in a database with all of its file columns."""
    if not database.has_table(table.name, schema=table.schema):
        return False
    columns = {column["name"] for column in database.get_columns(table.name, schema=table.schema)}
    return columns.issuperset(file_columns_of(table))


def is_view(database: Inspector, table: Table) -> bool:
    """Tell whether a table is a view: it shows rows of other tables, which are not to be counted twice."""
    return table.name in database.get_view_names(schema=table.schema)
