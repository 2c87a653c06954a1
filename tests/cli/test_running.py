"""What `shop up` keeps and says, and how little of the shop it loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from config import served
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
    assert "Did you mean 'check'?" in CliRunner().invoke(shop, ["chek"]).output


def test_commands_beside_a_served_shop_take_up_its_settings(
    committed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SHOP_")}
    ours = {key: value for key, value in os.environ.items() if key.startswith("SHOP_")}
    ours |= {"SHOP_DATABASE_URL": settings().database_url, "SHOP_DATABASE_CHECKER_URL": settings().database_checker_url}

    def check(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "shop", "check"], cwd=ROOT, capture_output=True, text=True, check=False,
            env=environment | {"SHOP_VAR": str(tmp_path)} | more,
        )  # fmt: skip

    alone = check()
    assert (alone.returncode, "python3 run.py" in alone.stderr) == (1, True)
    with served.kept(tmp_path, ours):
        assert (tmp_path / served.NAME).stat().st_mode & 0o777 == 0o600
        beside = check()
        assert (beside.returncode, "adds up" in beside.stdout) == (0, True), beside.stderr
        assert check(SHOP_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/x").returncode == 1
    assert not (tmp_path / served.NAME).exists()


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
