"""A folder for what is sent, and a database where commits are real."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import settings


@pytest.fixture
def mailbox(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("SHOP_VAR", str(tmp_path))
    monkeypatch.delenv("SHOP_SMTP_URL", raising=False)
    monkeypatch.delenv("SHOP_SMS_URL", raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()
