"""The application of clips for a process of its own, set up by environment."""

from tests.web.opening import application_of
from tests.web.resumed.replicas import Base, Clip

app, files = application_of(Base.metadata)
app.include_router(files.router(Clip, uploads=True), prefix="/clips")
