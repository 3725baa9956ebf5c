"""The applications of the web tests, with routes of their own."""

from tests.web.conftest import backend, serve, site

__all__ = ["backend", "serve", "site"]
