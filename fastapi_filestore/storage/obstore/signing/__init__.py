"""Presign URLs of the stores themselves: for one object, one method and a limited time."""
