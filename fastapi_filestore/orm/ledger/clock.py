"""The database's clock, in seconds since the epoch, by which intents fall due."""

from typing import Final

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

POSTGRESQL_CLOCK: Final = "EXTRACT(EPOCH FROM clock_timestamp())::double precision"
SQLITE_CLOCK: Final = "(julianday('now') - 2440587.5) * 86400.0"
MYSQL_CLOCK: Final = "UNIX_TIMESTAMP(NOW(6))"


class database_time(FunctionElement[float]):  # noqa: N801 - a SQL function is written like one
    """The database's clock as a SQL function."""

    type = Float()
    inherit_cache = True


@compiles(database_time)
def _compile_time(element: database_time, compiler: SQLCompiler, **options: object) -> str:
    others = {"sqlite": f"({SQLITE_CLOCK})", "mysql": MYSQL_CLOCK, "mariadb": MYSQL_CLOCK}
    return others.get(compiler.dialect.name, POSTGRESQL_CLOCK)
