"""From a URL, options and credentials to a store: read once, checked before any request, told by the variable's name.

Nothing here moves the bytes of a file, and nothing given in code is overruled by the environment.
"""
