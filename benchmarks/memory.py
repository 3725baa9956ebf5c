"""What clients send: bytes that lie in memory as a file."""

import os
from random import Random

BLOCK = 16 * 1024 * 1024
"""Bytes that are different, before they repeat: more than a processor's caches hold."""


def memory(size: int) -> int:
    """Return the number of an open file of so many random bytes."""
    descriptor = os.memfd_create("body")
    os.write(descriptor, Random(0).randbytes(size))
    return descriptor
