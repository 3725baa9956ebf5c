"""Measurements: `make bench` compares uploads and downloads with others', `python -m benchmarks.audit` times audits."""
