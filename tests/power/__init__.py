"""Power cuts: what a disk still has that kept only what it was made to keep."""
