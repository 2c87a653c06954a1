import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from config.database import ROLES, addresses, driver_url, prepare_server
from config.engine import Engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def admin_url() -> Iterator[str]:
    """The superuser of a server without anything of the shop but what the engine made for itself."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        Path(folder).chmod(0o711)
        with Engine(Path(folder) / "engine", durable=False) as engine:
            yield engine.admin_url


def ask(url: str, question: str) -> list[tuple]:
    with psycopg.connect(driver_url(url), autocommit=True) as connection:
        return connection.execute(question).fetchall()


def test_a_server_is_prepared_once_however_many_runs_prepare_it(admin_url):
    with ThreadPoolExecutor(4) as runs:
        list(runs.map(lambda _: prepare_server(admin_url, database="many"), range(4)))
    assert ask(admin_url, "SELECT pg_get_userbyid(datdba), datcollate FROM pg_database WHERE datname = 'many'") == [
        ("shop_owner", "C.UTF-8")
    ]


def test_the_command_sets_the_passwords_of_the_addresses_and_no_log_sees_them(admin_url):
    secret = "a secret/with@odd:signs"
    environment = {
        **os.environ,
        **addresses(admin_url, database="named", secret=secret),
        "SHOP_DATABASE_ADMIN_URL": admin_url,
    }
    argv = [sys.executable, "-m", "config.database"]
    ended = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ask(
        addresses(admin_url, database="named", secret=secret)["SHOP_DATABASE_OWNER_URL"], "SELECT current_user"
    ) == [("shop_owner",)]
    hashed = ask(admin_url, "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%' ORDER BY rolname")
    assert [name for (name,) in hashed] == sorted(ROLES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"SHOP_DATABASE_URL": ""}, "Not set: SHOP_DATABASE_URL"),
        ({"SHOP_DATABASE_URL": "postgresql://somebody:x@h/named"}, "SHOP_DATABASE_URL must name the user shop_app"),
        ({"SHOP_DATABASE_URL": "postgresql://shop_app:x@h/other"}, "one database, not named, other"),
    ],
)
def test_the_command_says_which_address_is_wrong(admin_url, changed, words):
    environment = {
        **os.environ,
        **addresses(admin_url, database="named", secret="s"),
        "SHOP_DATABASE_ADMIN_URL": admin_url,
        **changed,
    }
    argv = [sys.executable, "-m", "config.database"]
    ended = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert words in ended.stderr
