"""The store of files, in a folder, and its links."""

from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts.models_mandates import AgentMandate
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.files import service as files
from shop.files.models import StoredFile
from shop.ids import new_id
from tests.application import a_client
from tests.builders import NOW, an_organisation
from tests.outbox.helpers import work
from workers.sweeps import drop_files

pytestmark = pytest.mark.usefixtures("committed", "folder")


@pytest.fixture
def folder(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    return tmp_path / "files"


def stored(data: bytes = b"one", *, name: str = "表一.csv", kept_for: timedelta | None = None) -> StoredFile:
    file_id = new_id()
    files.put(file_id, data)

    def register(session: Session) -> StoredFile:
        owner = an_organisation(session)
        files.register(
            session,
            file_id=file_id,
            organisation_id=owner.id,
            name=name,
            media_type="text/csv",
            data=data,
            kept_for=kept_for,
        )
        return session.get_one(StoredFile, file_id)

    return in_unit_of_work(register)


def bytes_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def rows() -> int:
    with unit_of_work() as session:
        return session.scalar(text("SELECT count(*) FROM stored_file"))


def test_a_link_gives_the_file_as_an_attachment_under_its_name() -> None:
    answer = a_client().get(files.link(stored(b"a,b\n1,2\n")))
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"a,b\n1,2\n", "text/csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E8%A1%A8%E4%B8%80.csv"
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_an_expired_link_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    link = files.link(stored())
    client = a_client()
    assert client.get(link).status_code == 200
    monkeypatch.setattr(files, "LINK_SECONDS", -1)
    assert client.get(link).status_code == 404


@pytest.mark.parametrize(
    "change", [lambda link: link[:-9] + ("A" if link[-9] != "A" else "B") + link[-8:], lambda link: link + "x"]
)
def test_a_link_that_was_changed_is_missing(change) -> None:
    assert a_client().get(change(files.link(stored()))).status_code == 404


def test_a_link_to_the_file_of_another_cannot_be_made_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    file = stored()
    monkeypatch.setenv("SHOP_SECRET_KEY", "a guess")
    settings.cache_clear()
    forged = files.link(file)
    monkeypatch.delenv("SHOP_SECRET_KEY")
    settings.cache_clear()
    assert a_client().get(forged).status_code == 404


def test_a_name_is_never_a_path(folder: Path) -> None:
    file = stored(name="../../etc/passwd")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [file.id.hex]


def test_a_file_is_dropped_after_its_period_bytes_and_row(folder: Path) -> None:
    kept, over = stored(), stored(kept_for=timedelta(seconds=-1))
    stays = stored(kept_for=timedelta(days=7))
    link = files.link(over)
    drop_files()
    assert (bytes_in(folder), rows()) == (3, 2)
    assert work("files.remove") == ["files.remove"]
    assert (bytes_in(folder), rows()) == (2, 2)
    with pytest.raises(NotFound):
        files.read(link.rpartition("/")[2])
    for file in (kept, stays):
        assert files.read(files.link(file).rpartition("/")[2])[2] == b"one"


def test_dropping_goes_on_where_it_was_stopped(folder: Path) -> None:
    over = stored(kept_for=timedelta(seconds=-1))
    drop_files()
    files.remove(over.id)  # and then the process was killed
    work("files.remove")
    assert (bytes_in(folder), rows()) == (0, 0)


def test_a_file_that_something_names_is_kept_and_keeps_no_other(folder: Path) -> None:
    named, over = stored(kept_for=timedelta(seconds=-1)), stored(kept_for=timedelta(seconds=-1))
    with unit_of_work() as session:
        agent = an_organisation(session)
        session.add(
            AgentMandate(
                agent_id=agent.id, principal_name="x", products=["x"], valid=Range(date(2024, 1, 1), None),
                file_id=named.id, created_at=NOW,
            )
        )  # fmt: skip
    drop_files()
    work("files.remove")
    assert files.read(files.link(named).rpartition("/")[2])[2] == b"one"
    with pytest.raises(NotFound):
        files.read(files.link(over).rpartition("/")[2])
    drop_files()
    with unit_of_work() as session:
        assert session.execute(text("SELECT id, expires_at FROM stored_file")).all() == [(named.id, None)]


def test_what_is_not_there_is_removed_already() -> None:
    files.remove(UUID(int=7))
