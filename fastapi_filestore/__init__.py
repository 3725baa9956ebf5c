"""File storage for FastAPI by dependency injection."""
