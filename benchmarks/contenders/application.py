"""What the application of every contender has: an endpoint to ask meanwhile, and what refuses before an upload."""

import os
import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.params import Depends as Dependency

from benchmarks.place import Place

PLACE = Place.of_process()


def application(**options: Any) -> FastAPI:
    """Return an application that answers /ping with its process id."""
    app = FastAPI(**options)

    @app.get("/ping")
    async def ping() -> int:
        return os.getpid()

    return app


def _authorize(authorization: Annotated[str, Header()] = "") -> None:
    if not secrets.compare_digest(authorization, f"Bearer {PLACE.token}"):
        raise HTTPException(401, "Who are you?")


def guards() -> list[Dependency]:
    """Return the dependencies of an upload route: none, but where refusals are measured."""
    return [Depends(_authorize)] if PLACE.token else []
