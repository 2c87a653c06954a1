"""The run lock is enough to run: the test tools bring packages of their own, which must not hide a missing one."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from config.checks import locked, normal

ROOT = Path(__file__).parents[2]

BARE = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def only_of_the_tools() -> set[str]:
    """The modules that only packages of the test lock bring."""
    run = {pin.partition("==")[0] for pin in locked((ROOT / "requirements.lock").read_text())}
    owners = metadata.packages_distributions()
    return {module for module, by in owners.items() if not {normal(name) for name in by} & run}


PROGRAMS = {
    "the web": ("shop.app", "granian.cli"),
    "the workers": (
        "workers.app",
        "workers.deliveries",
        "workers.relay",
        "workers.schedule",
        "workers.beat",
        "workers.__main__",
        "celery.bin.celery",
    ),
    "Redis as broker": ("kombu.transport.redis", "redis"),
    "RabbitMQ as broker": ("kombu.transport.pyamqp",),
    "the command line": ("shop.cli", "shop.cli.running", "shop.demo.player", "config.engine", "migrations.manage"),
    "the gateway's stand-in": ("shop.standins.stripe.__main__",),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_with_nothing_but_the_run_lock(program):
    absent = only_of_the_tools()
    assert "pytest" in absent
    ended = subprocess.run(
        [sys.executable, "-c", BARE, ",".join(sorted(absent)), *PROGRAMS[program]],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, re.sub(r"(?s).*\n(?=\S)", "", ended.stderr.strip())
