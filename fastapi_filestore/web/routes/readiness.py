"""Answer load balancers whether the application can serve, and nothing else: why it can't is in the log."""

from math import ceil

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from fastapi_filestore.service.start.readiness import Readiness
from fastapi_filestore.web.problems import MEDIA_TYPE, Kind, Problem, ProblemRoute

NOT_READY = Kind(503, "not-ready", "The application can't serve at the moment. Try again later.")


def readiness_router(readiness: Readiness, path: str, *, include_in_schema: bool) -> APIRouter:
    """Build the route, to GET and HEAD: 200 if all parts of the application answer, else 503."""
    router = APIRouter(route_class=ProblemRoute, include_in_schema=include_in_schema, tags=["operations"])

    async def ready() -> Response:
        """Answer 200 if the databases and the stores of the application answer, else 503."""
        if await readiness.is_ready():
            return JSONResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})
        headers = {"Retry-After": str(ceil(readiness.max_age))}
        return Problem(NOT_READY, NOT_READY.detail or "", {}, headers).response()

    router.get(
        path,
        name="readiness",
        summary="Tell whether the application can serve",
        response_model=dict[str, str],
        responses={503: {"description": NOT_READY.title, "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
    )(ready)
    router.head(path, name="readiness_head", include_in_schema=False)(ready)
    return router
