"""Describe to OpenAPI what FastAPI can't know of a route: problems, files, header fields, bodies that are read late."""
