"""Make files up, for rows and models that a test or a factory makes: `new_file`."""

from itertools import count

from fastapi_filestore.file_object import FileObject

_numbers = count(1)


def new_file() -> FileObject:
    """Return a file that is not stored yet, a text of its own, such as `file-1.txt` with the bytes `File 1`.

    It is a provider for polyfactory, once for all factories:

    >>> BaseFactory.add_provider(FileObject, new_file)
    """
    number = next(_numbers)
    return FileObject(filename=f"file-{number}.txt", content_type="text/plain", content=f"File {number}".encode())
