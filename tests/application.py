"""The application as tests ask it: made once in a process, since its routes take long to compile.

Making it in several threads at once is not safe in Python 3.11: `ast.parse`, by which routes are compiled, keeps the
depth of its recursion for all threads together.
"""

from functools import cache

from flask import Flask
from flask.testing import FlaskClient

from shop.app import create_app
from shop.http.again import Again, Memory


@cache
def made() -> Flask:
    return create_app()


def the_app() -> Flask:
    """The application, which remembers no answer of an earlier test's database."""
    app = made()
    again = app.wsgi_app
    assert isinstance(again, Again)
    again.memory = Memory(again.memory.size)
    return app


def a_client() -> FlaskClient:
    """A client of it that is nobody yet."""
    return the_app().test_client()
