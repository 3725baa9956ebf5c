"""Engines of services."""

from sqlalchemy import Engine

from tests.web.site import Site


def engine_of(place: Site) -> Engine:
    """Return the engine behind a site's sessions, without its asynchronous face."""
    bind = place.sessions.kw["bind"]
    engine: Engine = getattr(bind, "sync_engine", bind)
    return engine
