#!/usr/bin/env python3
"""Start, test and check the produce exchange on a machine that has nothing but Python 3.11 or newer, with pip.

    python3 run.py                          serve the shop with its demo, at http://127.0.0.1:8000
    python3 run.py test [pytest arguments]  run the test suite
    python3 run.py test --deep [name]       run the full counts (races, faults, long histories), or those so named
    python3 run.py lint                     run every check that is not a test
    python3 run.py bench [name]             run the benchmarks
    python3 run.py shop [--help]            the command line of the shop: check, report, import, db, user, ...

The first run makes `.venv` beside this file (`.deps` where Python has no venv module) and installs there exactly what
requirements.lock names: ready-made packages whose hashes match, nothing else and nowhere else. Which package index is
asked, through which proxy and with which certificates, is what pip is configured for on this machine. Later runs find
the environment and start at once; a changed lock is noticed and installed anew. The database and the broker are
packages too (see config/engine.py). Until the environment exists, only the standard library is used.
"""

from __future__ import annotations  # so that an older Python gets as far as the sentence for it

import ast
import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMANDS = {  # what each verb runs once the environment is there
    "up": ("shop", "up"),
    "test": ("config.suite",),
    "lint": ("config.checks",),
    "bench": ("tests.benchmarks",),
    "shop": ("shop",),
}

ROOT = Path(__file__).resolve().parent
RUN_LOCK, TOOLS_LOCK = "requirements.lock", "requirements-test.lock"  # the second holds all of the first
RECORD = "installed.json"  # in the environment: for which Python it is and which locks it holds
STARTED = time.monotonic()

# uv installs in 3 s what takes pip 20. pip fetches it, checks its hash, and does the work itself wherever uv fails.
UV = "uv==0.13.9"
UV_HASHES = (
    "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",  # Linux x86_64, glibc
    "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",  # Linux aarch64, glibc and musl
    "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",  # Linux aarch64, glibc 2.28
    "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",  # macOS arm64
)
UV_NAMES = {  # settings of pip → the environment variables under which uv knows them
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
}
UNREACHABLE = ("NewConnectionError", "ConnectTimeout", "NameResolutionError", "SSLError", "ProxyError", "Max retries")


class Failure(Exception):
    """What went wrong and what to do about it, for the person at the terminal."""


def say(sentence: str) -> None:
    print(f"[{time.monotonic() - STARTED:5.1f} s] {sentence}", flush=True)


def main(arguments: list[str]) -> None:
    """Make sure of the environment, then become the program that does the work."""
    if arguments and arguments[0] in ("-h", "--help", "help"):
        print(__doc__)
        return
    named = bool(arguments) and not arguments[0].startswith("-")
    verb, rest = (arguments[0], arguments[1:]) if named else ("up", arguments)
    if verb not in COMMANDS:
        raise Failure(f"There is no {verb!r}. The verbs are {', '.join(COMMANDS)}; `python3 run.py --help` says more.")
    if sys.platform == "win32":
        raise Failure("Windows is not supported: run this inside WSL, or use the Dockerfile.")
    if verb == "up" and "--help" not in rest:
        check_port()
    with one_at_a_time():
        environment = ready_environment(RUN_LOCK if verb in ("up", "shop") else TOOLS_LOCK)
    os.chdir(ROOT)
    command = [os.fspath(environment.python), "-m", *COMMANDS[verb], *rest]
    variables = environment.variables() | {"SHOP_BEGAN": str(STARTED)}
    os.execve(command[0], command, variables)  # noqa: S606 - the one purpose of this file


def check_port() -> None:
    """Refuse before the long work what would fail after it: a port that another program holds."""
    host, port = os.environ.get("SHOP_HOST") or "127.0.0.1", os.environ.get("SHOP_PORT") or "8000"
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise Failure(f"SHOP_PORT must be a port number between 1 and 65535, not {port!r}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise Failure(
                f"Port {port} of {host} cannot be used ({error.strerror}). Either this shop is already served there, "
                "or another program holds it: end that one, or choose another port: SHOP_PORT=8010 python3 run.py"
            ) from error


# The environment


@dataclass(frozen=True)
class Environment:
    """A folder with the packages, and the Python that sees them."""

    folder: Path
    isolated: bool  # a venv; else a plain folder that PYTHONPATH names

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python" if self.isolated else Path(sys.executable)

    def variables(self) -> dict[str, str]:
        """The environment variables of what runs in it."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        path = {} if self.isolated else {"PYTHONPATH": os.fspath(self.folder)}
        return {**kept, "PYTHONNOUSERSITE": "1", **path}

    def python_version(self) -> str:
        """Such as 3.11; empty when its Python is gone or broken."""
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            return subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
        except OSError:
            return ""

    def record(self) -> dict[str, Any] | None:
        """What was noted of it; None when there is no such environment."""
        if not (self.folder / RECORD).exists():
            return None
        try:
            return dict(json.loads((self.folder / RECORD).read_text()))
        except ValueError:  # cut off while it was written
            return {}

    def note(self, locks: dict[str, str]) -> None:
        (self.folder / RECORD).write_text(json.dumps({"python": self.python_version(), "locks": locks}))


VENV, PLAIN = Environment(ROOT / ".venv", isolated=True), Environment(ROOT / ".deps", isolated=False)


def ready_environment(lock: str) -> Environment:
    """An environment that holds what the lock names, made or completed when there is none."""
    wanted = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in (RUN_LOCK, TOOLS_LOCK)}
    usable = None
    for environment in (VENV, PLAIN):
        record = environment.record()
        if record is None:
            continue
        locks = record.get("locks", {})
        current = bool(locks) and all(wanted.get(name) == digest for name, digest in locks.items())
        if not current or record.get("python") != environment.python_version():
            say(f"{environment.folder.name} is unfinished or of another day; it is made anew.")
            shutil.rmtree(environment.folder)
        elif lock in locks:
            return environment
        else:
            usable = environment
    environment = usable or make_environment()
    install(environment, lock)
    environment.note(wanted if lock == TOOLS_LOCK else {lock: wanted[lock]})
    return environment


def make_environment() -> Environment:
    """An empty environment: a venv, or a plain folder on a Python that was packaged without the venv module."""
    if VENV.folder.exists():
        raise Failure(f"{VENV.folder} is there but was not made by run.py. Move it away, then try again.")
    VENV.folder.mkdir()
    VENV.note({})  # from here on a run that was interrupted knows that this folder may be removed
    try:
        import venv

        venv.EnvBuilder(with_pip=False, symlinks=True).create(VENV.folder)
    except (ImportError, OSError, SystemExit) as error:
        say(f"This Python makes no venv ({type(error).__name__}: {error}); the packages go to .deps instead.")
        shutil.rmtree(VENV.folder)
        PLAIN.folder.mkdir(exist_ok=True)
        PLAIN.note({})
        return PLAIN
    return VENV


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the project folder while its environment is looked at and made."""
    import fcntl

    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is installing here; this one waits for it.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


# Installing


def install(environment: Environment, lock: str) -> None:
    """Put what the lock names into the environment: by uv, else by pip. Raises Failure with the reason."""
    count = sum("==" in line and not line.startswith((" ", "#")) for line in (ROOT / lock).read_text().splitlines())
    say(f"Installing {count} packages of {lock} into {environment.folder.name}; this happens once.")
    scratch = environment.folder / "installing"
    scratch.mkdir(exist_ok=True)
    pip = find_pip(environment)
    python = ["--python", os.fspath(environment.python)]
    what = ["--require-hashes", "--only-binary", ":all:", "-r", os.fspath(ROOT / lock)]
    if not environment.isolated:
        what += ["--target", os.fspath(environment.folder)]
    try:
        uv = fetch_uv(pip, scratch)
        if not uv or attempt([uv, "pip", "install", "--no-cache", *python, *what], scratch, uv_variables(pip)):
            say("uv cannot do it here; pip does it instead, which takes up to a minute.")
            by_pip = [*pip, *(python if environment.isolated else []), "install", "--no-cache-dir", "--no-compile"]
            output = attempt([*by_pip, *what], scratch, {})
            if output:
                raise Failure(diagnosis(output))
        say("Installed.")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_pip(environment: Environment) -> list[str]:
    """A pip that can install into the environment: this Python's own, else the one that Python carries packed."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    inside = os.fspath(environment.python)
    if environment.isolated:
        unpacked = subprocess.run([inside, "-m", "ensurepip"], capture_output=True, check=False)
        if unpacked.returncode == 0:
            return [inside, "-m", "pip"]
    raise Failure(
        f"The Python at {sys.executable} has neither pip nor ensurepip. Install pip (on Debian and Ubuntu: "
        "apt install python3-pip; on Fedora: dnf install python3-pip), or start run.py with another Python."
    )


def fetch_uv(pip: list[str], scratch: Path) -> str:
    """The path of the pinned uv, fetched into the scratch folder; empty where there is none for this machine."""
    wanted, place = scratch / "uv.txt", scratch / "uv"
    wanted.write_text(" ".join([UV, *(f"--hash=sha256:{digest}" for digest in UV_HASHES)]) + "\n")
    only = ["--require-hashes", "--only-binary", ":all:", "-r", os.fspath(wanted), "--target", os.fspath(place)]
    output = attempt([*pip, "install", "--no-cache-dir", *only], scratch, {})
    if any(word in output for word in UNREACHABLE):
        raise Failure(diagnosis(output))
    return os.fspath(place / "bin" / "uv") if not output and (place / "bin" / "uv").exists() else ""


def uv_variables(pip: list[str]) -> dict[str, str]:
    """The environment variables that make uv ask where pip is configured to ask; those already set win."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    configured: dict[str, str] = {}
    for scope in ("global.", "install.", ":env:."):  # later ones win, as in pip
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(scope):
                with contextlib.suppress(ValueError, SyntaxError):
                    configured[name[len(scope) :].replace("default-timeout", "timeout")] = str(ast.literal_eval(value))
    given = {UV_NAMES[name]: " ".join(value.split()) for name, value in configured.items() if name in UV_NAMES}
    if "UV_FIND_LINKS" in given:
        given["UV_FIND_LINKS"] = given["UV_FIND_LINKS"].replace(" ", ",")
    # pip takes the best file of all indexes, and the hashes say which files may be taken at all.
    always = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    return {name: value for name, value in {**always, **given}.items() if name not in os.environ}


def attempt(command: list[str], scratch: Path, variables: dict[str, str]) -> str:
    """Run a command and say every five seconds how far it is; empty when it ended well, else its output."""
    log = scratch / "output.txt"
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off"}
    with log.open("wb") as output:
        try:
            running = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **quiet, **variables, "TMPDIR": os.fspath(scratch)},
            )
        except OSError as error:
            return str(error)
        while True:
            try:
                running.wait(5)
                break
            except subprocess.TimeoutExpired:
                lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
                say(f"still installing: {lines[-1][:90] if lines else '...'}")
    return "" if running.returncode == 0 else log.read_text(errors="replace") or f"code {running.returncode}"


def diagnosis(output: str) -> str:
    """What pip's complaint means here, and what to do."""
    if "No space left on device" in output:
        advice = "The disk is full: an installation takes 300 MB, with the test tools 500 MB."
    elif "DO NOT MATCH THE HASHES" in output:
        advice = "A package is not the one that was locked. Do not install it: ask whoever runs your package index."
    elif any(word in output for word in UNREACHABLE):
        advice = (
            "The package index could not be reached. Check the network, or tell pip of your mirror, proxy or "
            "certificates: PIP_INDEX_URL, HTTPS_PROXY, PIP_CERT."
        )
    elif "No matching distribution found" in output:
        advice = (
            f"There is no ready-made package for Python {platform.python_version()} on {platform.platform()}, or your "
            "package index does not carry it. There are packages for Python 3.11 to 3.14 on Linux with glibc (x86_64, "
            "aarch64) and on macOS (arm64). Elsewhere use the Dockerfile."
        )
    else:
        advice = "Nothing was changed outside this folder; the next run begins anew."
    return "\n".join(output.strip().splitlines()[-12:]) + f"\n\nThe packages could not be installed. {advice}"


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this file may have any Python
        newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if shutil.which(name)]
        hint = f"Start it so: {newer[0]} run.py" if newer else "Install one, then start run.py with it."
        sys.exit(f"Python {platform.python_version()} is too old: this needs Python 3.11 or newer. {hint}")
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"\n{failure}")
    except PermissionError as error:
        sys.exit(f"\n{error.filename} cannot be written: run as the user who owns {ROOT}, or copy the project.")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
