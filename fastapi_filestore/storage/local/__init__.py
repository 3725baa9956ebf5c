"""Keep files in a folder of this machine: written beside their place, synced, and put there whole.

A *staged* file is one that no listing shows yet; an *open folder* is held by its descriptor, so that nobody swaps it
for a link meanwhile. No path ever leads out of the backend's folder.
"""
