"""Objects in S3, Google Cloud Storage, Azure Blob Storage, a local folder or memory, by obstore."""

from fastapi_filestore.storage.obstore.backend import ObstoreBackend

__all__ = ["ObstoreBackend"]
