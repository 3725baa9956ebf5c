"""FastAPI and Starlette live here: routes, forms, downloads, problems."""
