"""What `shop up` keeps and says, and how little of the shop it loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from config.settings import settings
from run import ROOT
from shop.cli import COMMANDS, shop
from shop.cli.running import keep_run, logins_that_exist
from shop.db import unit_of_work
from tests import builders as a

HEAVY = ("sqlalchemy", "pydantic", "flask", "celery", "stripe", "typst", "alembic", "argon2")


def test_every_command_of_the_table_is_there_and_helps() -> None:
    listed = CliRunner().invoke(shop, ["--help"])
    assert listed.exit_code == 0, listed.output
    for name in COMMANDS:
        assert f"  {name} " in listed.output
    assert CliRunner().invoke(shop, ["bake"]).exit_code == 2


def test_the_process_that_stays_loads_nothing_of_the_shop() -> None:
    code = f"import sys, shop.cli.running; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_start_keeps_the_logins_of_people_who_are_there_and_drops_the_others(
    committed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE_CHECKER_URL", settings().database_checker_url)
    with unit_of_work() as session:
        email = "here@example.com"
        a.a_member(session, a.an_organisation(session), email=email)
    assert logins_that_exist(tmp_path) == []
    logins = [{"role": "buyer", "email": email, "password": "x"}, {"role": "gone", "email": "gone@example.com"}]
    keep_run(tmp_path, "http://127.0.0.1:1", logins)
    assert logins_that_exist(tmp_path) == logins[:1]
    (tmp_path / "run.json").write_text(json.dumps({"url": "http://127.0.0.1:1"}))
    assert logins_that_exist(tmp_path) == []
