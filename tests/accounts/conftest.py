from pathlib import Path

import pytest

from config.settings import settings
from tests.accounts.county import County


@pytest.fixture
def county(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> County:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    return County()
