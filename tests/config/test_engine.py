import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from config.database import driver_url
from config.engine import Engine, EngineError

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")


def ask(engine: Engine, question: str, *, role: str = "SHOP_DATABASE_OWNER_URL") -> list[tuple]:
    with psycopg.connect(driver_url(engine.environment()[role]), autocommit=True) as connection:
        answer = connection.execute(question)
        return answer.fetchall() if answer.description else []


def broker(engine: Engine) -> redis.Redis:
    path = urlsplit(engine.environment()["SHOP_BROKER_URL"]).path
    return redis.Redis(unix_socket_path=path)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@contextlib.contextmanager
def passable_folder() -> Iterator[Path]:
    """A folder that the engine's user may pass; pytest's own temporary folders are closed to all others."""
    with tempfile.TemporaryDirectory(prefix="shop-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture(scope="module")
def started_once() -> Iterator[Path]:
    """The folder of an engine that was started and stopped once: a copy of it starts five times faster than none."""
    with passable_folder() as place:
        with Engine(place / "engine", durable=False):
            pass
        yield place / "engine"


@pytest.fixture
def folder(started_once) -> Iterator[Path]:
    with passable_folder() as place:
        subprocess.run(["/bin/cp", "-a", started_once, place / "engine"], check=True)
        yield place / "engine"


@pytest.fixture
def engine(folder) -> Iterator[Engine]:
    with Engine(folder, durable=False) as started:
        yield started


def test_the_data_is_there_again_at_the_next_start(folder):
    shutil.rmtree(folder)
    with Engine(folder, durable=False) as first:
        ask(first, "CREATE TABLE kept AS SELECT 7 AS number")
        broker(first).set("kept", "7")
    with Engine(folder, durable=False) as second:
        assert ask(second, "SELECT number FROM kept") == [(7,)]
        assert broker(second).get("kept") == b"7"


def test_the_three_roles_can_do_their_work_and_no_more(engine):
    assert ask(engine, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'shop%' AND rolsuper") == []
    ask(engine, "CREATE TABLE secret AS SELECT 1 AS number")
    ask(engine, "CREATE DATABASE another")
    used = driver_url(engine.environment()["SHOP_DATABASE_URL"])
    with psycopg.connect(used, dbname="another"):
        ask(engine, "DROP DATABASE another WITH (FORCE)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(engine, "CREATE TABLE mine (number int)", role="SHOP_DATABASE_URL")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(engine, "SELECT number FROM secret", role="SHOP_DATABASE_URL")
    assert ask(engine, "SELECT number FROM secret", role="SHOP_DATABASE_CHECKER_URL") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(engine, "DELETE FROM secret", role="SHOP_DATABASE_CHECKER_URL")


def test_every_new_database_has_the_extensions_and_understands_chinese(engine):
    ask(engine, "CREATE DATABASE another")
    address = driver_url(engine.environment()["SHOP_DATABASE_OWNER_URL"])
    with psycopg.connect(address, dbname="another") as connection:
        (alike,) = connection.execute("SELECT similarity('四川红富士苹果', '红富士苹果')").fetchone()
        assert 0.2 < alike < 1
        connection.execute("CREATE TABLE spans (id int, days daterange, EXCLUDE USING gist (id WITH =, days WITH &&))")


def test_a_shop_waits_for_the_disk(folder):
    with Engine(folder) as engine:
        assert ask(engine, "SHOW fsync") + ask(engine, "SHOW synchronous_commit") == [("on",), ("on",)]
        assert broker(engine).config_get("appendonly") == {"appendonly": "yes"}
        assert broker(engine).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_what_is_killed_is_revived_with_its_data(engine):
    ask(engine, "CREATE TABLE kept AS SELECT 7 AS number")
    broker(engine).set("kept", "7")
    assert engine.revive() == []
    for pid in engine.pids().values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(is_gone(pid) for pid in engine.pids().values()))
    assert engine.revive() == ["postgres", "valkey"]
    assert ask(engine, "SELECT number FROM kept") == [(7,)]
    assert broker(engine).get("kept") == b"7"


def test_a_second_run_on_the_same_folder_is_refused_and_told_who_holds_it(folder, engine):
    with pytest.raises(EngineError, match=f"process {os.getpid()}"):
        Engine(folder, durable=False).start()
    assert ask(engine, "SELECT 1") == [(1,)]


def test_stopping_ends_both_servers(folder):
    engine = Engine(folder, durable=False)
    engine.start()
    pids = engine.pids()
    engine.stop()
    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids.values())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_the_servers_end_with_a_killed_run_and_the_next_run_starts(folder):
    program = (
        "import json, sys, time; from pathlib import Path; from config.engine import Engine\n"
        "engine = Engine(Path(sys.argv[1]), durable=False); engine.start()\n"
        "print(json.dumps(engine.pids()), flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", program, folder], cwd=ROOT, stdout=subprocess.PIPE)
    pids = json.loads(run.stdout.readline())
    run.kill()
    run.wait()
    with Engine(folder, durable=False) as engine:  # at once, while the old servers may still be ending
        assert ask(engine, "SELECT 1") == [(1,)]
        assert all(is_gone(pid) for pid in pids.values())


def test_the_traces_of_a_lost_machine_do_not_hinder_the_next_start(folder):
    with Engine(folder, durable=False):
        note = (folder / "postgres" / "postmaster.pid").read_text()
    stranger = note.replace(note.splitlines()[0], str(os.getpid()), 1)
    (folder / "postgres" / "postmaster.pid").write_text(stranger)
    (folder / "sockets" / ".s.PGSQL.5432.lock").write_text(stranger)
    with Engine(folder, durable=False) as engine:
        assert ask(engine, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("part", "damage", "words"),
    [
        ("PG_VERSION", None, "PG_VERSION is missing"),
        ("PG_VERSION", b"9\n", "written by PostgreSQL 9"),
        ("PG_VERSION", b"", "is damaged: its PG_VERSION names no version"),
        ("global/pg_control", b"\0" * 8192, "does not start"),
        ("global/pg_filenode.map", None, "does not start"),
    ],
)
def test_a_damaged_data_folder_gets_a_sentence_that_says_what_to_do(folder, part, damage, words):
    with Engine(folder, durable=False):
        pass
    file = folder / "postgres" / part
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(EngineError, match=words) as refused:
        Engine(folder, durable=False).start()
    assert "How to run it for real" in str(refused.value)
    assert str(folder / "postgres") in str(refused.value)


def test_damaged_broker_data_is_put_aside_and_said(folder):
    with Engine(folder, durable=False) as engine:
        broker(engine).set("lost", "7")
    for file in (folder / "valkey" / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"*3\r\n$3\r\nSET\r\n$x\r\nnonsense" + b"\0" * 100)
    said: list[str] = []
    with Engine(folder, durable=False, say=said.append) as engine:
        assert broker(engine).get("lost") is None
    (aside,) = folder.glob("valkey.damaged-*")
    assert str(aside) in said[0]


def test_a_folder_deeper_than_a_socket_path_may_be_still_serves(folder):
    deep = folder / ("d" * 60) / ("e" * 60) / "with a space, and more"
    with Engine(deep) as engine:
        assert ask(engine, "SELECT 1") == [(1,)]
        assert broker(engine).ping()
        address = engine.environment()
    with Engine(deep, durable=False) as engine:
        assert engine.environment() == address  # the place outside is used again
    (outside,) = json.loads((deep / "places.json").read_text()).values()
    assert not Path(outside).exists()  # what is for tests leaves nothing


@as_root
def test_a_closed_folder_stays_closed_and_its_data_is_private_elsewhere(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Engine(closed / "engine") as engine:
        ask(engine, "CREATE TABLE kept AS SELECT 7 AS number")
    places = {name: Path(place) for name, place in json.loads((closed / "engine" / "places.json").read_text()).items()}
    with Engine(closed / "engine", durable=False) as engine:
        assert ask(engine, "SELECT number FROM kept") == [(7,)]
        assert closed.stat().st_mode & 0o777 == 0o700
        assert all(place.stat().st_mode & 0o777 == 0o700 and place.owner() == "nobody" for place in places.values())
