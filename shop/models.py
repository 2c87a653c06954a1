"""Every table of the shop in one place, for migrations and tests: those of every `models.py` and `models_*.py`."""

from importlib import import_module
from pkgutil import walk_packages

import shop
from shop import clock, retention  # noqa: F401 - the business clock and written periods are tables of no room
from shop.db import Model
from shop.http import idempotency  # noqa: F401 - the kernel's own table

for module in walk_packages(shop.__path__, "shop."):
    if module.name.rpartition(".")[2].startswith("models") and module.name != __name__:
        import_module(module.name)

metadata = Model.metadata
