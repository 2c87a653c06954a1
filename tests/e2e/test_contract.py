"""schemathesis against the served shop: no 5xx, no answer that the document does not know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Served
from tests.e2e.world import World

PEOPLE = {
    "buyer0": "^/(?!v1/(cooperative|admin|reports)/)",
    "cooperative0": "^/v1/cooperative/",
    "admin": "^/v1/(admin|reports)/",
}
"""Who asks, and the paths that are theirs: together all of them. What is asked by whom it is not for is in `--deep`."""


def run(
    served: Served, token: str, examples: int, folder: Path, *, paths: str = "^/"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/v1/openapi.json", "--url", served.url,
            "--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth",
            "--max-examples", str(examples), "--seed", os.environ.get("SHOP_SEED", "1"), "--continue-on-failure",
            "--header", f"Authorization: Bearer {token}", "--exclude-path", "/v1/auth/logout",
            "--include-path-regex", paths,
            "--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--warnings", "off",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("person", PEOPLE)
def test_every_answer_to_anything_is_one_that_the_document_knows(served: Served, person: str, tmp_path: Path) -> None:
    world = World(served)
    done = run(served, str(world.people[person]._token), 3, tmp_path, paths=PEOPLE[person])
    assert done.returncode == 0, done.stdout[-20000:]


@pytest.mark.deep
@pytest.mark.parametrize("person", PEOPLE)
def test_many_examples_of_everything_are_answered_as_documented(served: Served, person: str, tmp_path: Path) -> None:
    world = World(served)
    done = run(served, str(world.people[person]._token), 60, tmp_path)
    assert done.returncode == 0, done.stdout[-20000:]
