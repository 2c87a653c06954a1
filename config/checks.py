"""Every check that is not a test: what `python3 run.py lint` runs.

`--write-licences` writes config/licences.txt anew from what is installed, instead of checking.
"""

import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from config.engine import EngineError, temporary_engine

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (ROOT / "requirements.lock", ROOT / "requirements-test.lock")
LICENCES = ROOT / "config" / "licences.txt"
LICENCES_HEAD = """\
# The licence of every package in the two locks, as the packages state it. Written by `python3 run.py lint
# --write-licences`; a package that is for other platforms only stays as it was last seen.
"""
IMPORT_LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"

PROGRAMS: dict[str, tuple[str, ...]] = {
    "code rules": ("-m", "ruff", "check", "."),
    "code format": ("-m", "ruff", "format", "--check", "."),
    "types": ("-m", "mypy"),
    "import contracts": ("-c", IMPORT_LINTER),
    "migrations match the models": ("-m", "shop", "db", "check-migrations"),
    "the OpenAPI file is the generated one": ("-m", "shop", "openapi", "--check"),
}


def main(arguments: list[str]) -> int:
    """Run all checks, say how each went, and return 0 only if all went well."""
    if "--write-licences" in arguments:
        LICENCES.write_text(LICENCES_HEAD + "".join(f"{name}: {text}\n" for name, text in licences_now().items()))
        print(f"Wrote {LICENCES.relative_to(ROOT)}.")  # noqa: T201
        return 0
    with temporary_engine() as (engine, folder):
        environment = {**os.environ, **engine.environment(), "SHOP_ENV": "test", "SHOP_VAR": os.fspath(folder / "var")}
        results = [report(name, program(part, environment)) for name, part in PROGRAMS.items()]
    results += [report("locks", lock_problems), report("licences", licence_problems)]
    failed = results.count(False)
    print(f"{failed} of {len(results)} checks failed." if failed else "All checks passed.")  # noqa: T201
    return 1 if failed else 0


def report(name: str, check: Callable[[], str]) -> bool:
    """Run one check, which returns its complaint or nothing, and print how it went."""
    began = time.monotonic()
    complaint = check().strip()
    print(f"{'FAILED' if complaint else 'ok    '} {time.monotonic() - began:5.1f} s  {name}", flush=True)  # noqa: T201
    if complaint:
        print("\n".join(f"    {line}" for line in complaint.splitlines()), flush=True)  # noqa: T201
    return not complaint


def program(part: tuple[str, ...], environment: dict[str, str]) -> Callable[[], str]:
    """A check that runs a Python program and complains with its output when that fails."""

    def run() -> str:
        ended = subprocess.run(
            [sys.executable, *part],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return "" if ended.returncode == 0 else ended.stdout or f"ended with code {ended.returncode} and no words"

    return run


def normal(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, set[str]]:
    """The pins of a lock with their hashes: `name==version` → sha256 digests."""
    pins: dict[str, set[str]] = {}
    pin = ""
    for line in lock.splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line):
            pin = f"{normal(found[1])}=={found[2]}"
            pins[pin] = set()
        elif line[:1] not in ("", " ", "#"):
            pins[line.strip()] = set()  # a requirement that is not pinned
            continue
        if pin:
            pins[pin].update(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return pins


def lock_problems() -> str:
    """What is wrong with the locks: missing hashes, addresses, a package too few."""
    texts = {lock.name: lock.read_text() for lock in LOCKS}
    pins = {name: locked(text) for name, text in texts.items()}
    problems = []
    for name, text in texts.items():
        problems += [f"{name}: {pin} has no hash" for pin, hashes in pins[name].items() if not hashes]
        problems += [f"{name}: an address: {found}" for found in re.findall(r"\w+://\S+", text)]
    run, tools = (pins[lock.name] for lock in LOCKS)
    problems += [f"{LOCKS[1].name} lacks {pin} of {LOCKS[0].name}" for pin in run if run[pin] - tools.get(pin, set())]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [wanted for group in project.get("optional-dependencies", {}).values() for wanted in group]
    for wanted_by, held in ((project["dependencies"], run), (extra, tools)):
        names = {pin.partition("==")[0] for pin in held}
        wanted = {normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in wanted_by}
        problems += [f"no lock holds {name}, which pyproject.toml names" for name in sorted(wanted - names)]
    return "\n".join(problems)


def licences_listed() -> dict[str, str]:
    """config/licences.txt: package → licence."""
    lines = LICENCES.read_text().splitlines() if LICENCES.exists() else []
    pairs = (line.partition(": ") for line in lines if not line.startswith("#"))
    return {name: text for name, _, text in pairs}


def licences_now() -> dict[str, str]:
    """The licence of every locked package: as installed, or as listed where it is for another platform."""
    names = {pin.partition("==")[0] for lock in LOCKS for pin in locked(lock.read_text())}
    listed = licences_listed()
    now = {name: licence(name) or listed.get(name, "") for name in sorted(names)}
    return {name: text for name, text in now.items() if text}


def licence(name: str) -> str:
    """What an installed package says of its licence; empty when it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classified = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")
    ]
    if "License-Expression" in about:
        return about["License-Expression"]
    stated = about.get_all("License", [])
    return "; ".join(classified or stated).partition("\n")[0] or "not stated"


def licence_problems() -> str:
    """Packages that the list lacks, or lists otherwise than they are."""
    listed, now = licences_listed(), licences_now()
    problems = [f"{name}: {text} is not listed so" for name, text in now.items() if listed.get(name) != text]
    problems += [f"{name} is listed but in no lock" for name in listed if name not in now]
    return "\n".join([*problems, "Write it anew: python3 run.py lint --write-licences"]) if problems else ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EngineError as error:
        sys.exit(f"\n{error}")
