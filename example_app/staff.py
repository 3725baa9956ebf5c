"""Add pages at /admin where ADMIN_PASSWORD is set, and only there: whoever sees them may change every document."""

from importlib import import_module
from importlib.util import find_spec

from fastapi import FastAPI
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LEAST = 12
"""Characters of a password: nothing else slows down who guesses."""


class StaffSettings(BaseSettings):
    """Who may edit documents at /admin."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    admin_password: SecretStr = SecretStr("")


def add_staff_pages(app: FastAPI) -> None:
    """Add the pages at /admin if a password is set for them."""
    password = StaffSettings().admin_password.get_secret_value()
    if not password:
        return
    if len(password) < LEAST:
        raise SystemExit(
            f"The application does not start. ADMIN_PASSWORD has fewer than {LEAST} characters: take a longer one."
        )
    if find_spec("sqladmin") is None:
        raise SystemExit(
            "The application does not start. ADMIN_PASSWORD is set, but SQLAdmin is not installed: "
            'pip install "fastapi-filestore[sqladmin]".'
        )
    import_module("example_app.admin").add_admin(app, password)
