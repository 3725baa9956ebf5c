"""Measurements: each is run by hand, `python -m benchmarks.<name>`."""
