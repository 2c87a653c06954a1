"""Folders for what is sent and stored, and a database where commits are real."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import settings
from tests.accounts.county import County


@pytest.fixture
def mailbox(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("SHOP_VAR", str(tmp_path))
    monkeypatch.delenv("SHOP_SMTP_URL", raising=False)
    monkeypatch.delenv("SHOP_SMS_URL", raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


@pytest.fixture
def county(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> County:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    return County()
