"""Make a store of a URL, options and credentials: read once, checked before any request.

Nothing here moves the bytes of a file, and nothing given in code is overruled by the environment.
"""
