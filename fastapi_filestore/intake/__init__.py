"""Bytes on their way in: limited, named, digested.

An `Upload` is a file that has not been stored yet; its bytes pass once. Forms are read as clients write them
(`forms/`), and media types are compared, sniffed and agreed upon (`types/`). Nothing here is written to disk, and no
client's name becomes an object path.
"""
