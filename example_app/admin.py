"""The pages at /admin, on which staff edit documents with their files: for those who know ADMIN_PASSWORD."""

from hashlib import scrypt
from secrets import compare_digest

from fastapi import FastAPI, Request
from sqladmin.authentication import AuthenticationBackend

from example_app.database import Session
from example_app.models import Document
from fastapi_filestore.contrib.sqladmin import Admin, ModelView

MAX_AGE = 12 * 60 * 60
"""Seconds that a login lasts."""


class Login(AuthenticationBackend):
    """Let in whoever knows the password; the name is not asked."""

    def __init__(self, password: str) -> None:
        # Each worker makes the same key, and a new password ends all logins.
        key = scrypt(password.encode(), salt=b"documents", n=2**14, r=8, p=1).hex()
        super().__init__(key, max_age=MAX_AGE, same_site="strict", session_cookie="admin")
        self._password = password

    async def login(self, request: Request) -> bool:
        """Tell whether the form has the password, and remember it."""
        given = str((await request.form()).get("password", ""))
        if not compare_digest(given.encode(), self._password.encode()):
            return False
        request.session["is_admin"] = True
        return True

    async def logout(self, request: Request) -> bool:
        """Forget it."""
        request.session.clear()
        return True

    async def authenticate(self, request: Request) -> bool:
        """Tell whether a request comes from somebody who has logged in."""
        return request.session.get("is_admin") is True


class DocumentAdmin(ModelView, model=Document):
    """The pages of documents."""

    column_list = ("title", "file", "created_at")
    column_searchable_list = ("title",)
    column_default_sort = ("created_at", True)
    form_columns = ("title", "file")


def add_admin(app: FastAPI, password: str) -> None:
    """Add the pages to the application."""
    Admin(app, session_maker=Session, title="Documents", authentication_backend=Login(password)).add_view(DocumentAdmin)
