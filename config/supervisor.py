"""The supervisor: keeps the programs of one shop running and ends them all together.

    with Supervisor(logs=var / "log") as supervisor:
        supervisor.start(Program("worker", [sys.executable, "-m", "celery", ...]))
        supervisor.start(Program("web", [...]))
        supervisor.serve()  # until Ctrl-C or SIGTERM

Each program is a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone and the programs
end in an order it chooses: the last one started ends first. A program that dies is started again. On Linux the programs
also end when the supervisor itself is killed: the kernel sends each its signal.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

LOG_LIMIT = 20_000_000  # bytes; a longer log becomes <name>.log.1 when its program starts
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds before a dead program is started again, doubled each time
SETTLED = 15.0  # seconds alive after which the next death counts as the first
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a child runs as when its parent is root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to end it. Its output is appended to `<logs>/<name>.log`."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None  # None: the environment of the supervisor
    cwd: Path | None = None
    restart: bool = True  # False: runs once, see Supervisor.wait()
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 20.0  # seconds between the stop signal and SIGKILL


def log_file(logs: Path, name: str) -> Path:
    """Where a program of this name writes to from its start on; what it wrote before is put aside when it is long."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))
    return log


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    orphan_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, both outputs appended to `log`.

    On Linux the child gets `orphan_signal` when the thread that called this is gone, whatever ended it.
    """
    with log_file(log.parent, log.stem).open("ab") as output:
        return subprocess.Popen(
            [os.fspath(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            process_group=0,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_end_with_parent(orphan_signal),
        )


def run_once(argv: Sequence[str | Path]) -> int:
    """Run a child to its end, its output where ours goes; gives its return code. What interrupts us ends the child."""
    child = subprocess.Popen(
        [os.fspath(part) for part in argv],
        stdin=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C in a terminal reaches us alone
        preexec_fn=_end_with_parent(signal.SIGTERM),
    )
    try:
        return child.wait()
    finally:
        kill_group(child)
        child.wait()


def _end_with_parent(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()  # found before the fork: the child makes one system call

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(orphan_signal))
        if os.getppid() != parent:  # the parent ended before the request
            os._exit(1)

    return ask


def how_it_ended(code: int) -> str:
    """A return code of subprocess in words: `with code 3`, `by SIGKILL`."""
    if code >= 0:
        return f"with code {code}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-code).name}"
    return f"by signal {-code}"


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End at once whatever is left of a child's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    pause: float = FIRST_PAUSE
    again_at: float | None = None  # set while it is dead and waits for its next start


class Supervisor:
    """Starts programs, watches them from a thread of its own, ends them in reverse order.

    Inside the `with` block SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread; leaving the block
    ends every program. A second signal while they end kills what is left.
    """

    def __init__(self, *, logs: Path, say: Callable[[str], None] = print) -> None:
        self._logs = logs
        self._say = say
        self._running: dict[str, _Running] = {}
        self._revivers: list[Callable[[], object]] = []
        self._lock = threading.RLock()
        self._stopping = False
        self._hurry = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Supervisor":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # started by nohup: the end of the terminal is not the end of the shop
                self._handlers[number] = signal.signal(number, self._on_signal)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a program now and keep it running; the name must be new. Raises OSError when it cannot be run."""
        with self._lock:
            if program.name in self._running:
                raise ValueError(f"A program named {program.name} runs already.")
            self._running[program.name] = _Running(program, self._spawn(program))

    def revive_with(self, reviver: Callable[[], object]) -> None:
        """Call `reviver` at every look (five times a second): it restarts what it owns, such as `Engine.revive`."""
        with self._lock:
            self._revivers.append(reviver)

    def pid(self, name: str) -> int:
        """The process id of a program; its process group has the same number."""
        return self._running[name].process.pid

    def wait(self, name: str) -> int:
        """Wait for a program that runs once (`restart=False`) and return its exit code."""
        return self._running[name].process.wait()

    def serve(self) -> None:
        """Block until SIGINT, SIGTERM or SIGHUP."""
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)

    def stop(self) -> None:
        """End every program, the last one started first: its signal, its grace, then SIGKILL to its whole group."""
        self._stopping = True
        with self._lock:
            self._revivers.clear()
            for running in reversed(self._running.values()):
                self._end(running)
            self._running.clear()
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers.clear()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            self._hurry = True
        else:
            self._stopping = True  # nothing is started again from here on
            raise KeyboardInterrupt

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        return spawn(
            program.argv,
            log=self._log(program),
            env=program.env,
            cwd=program.cwd,
            orphan_signal=program.stop_signal,
        )

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"

    def _watch(self) -> None:
        # Ends after its programs and not before: what it restarted dies with this thread.
        while not self._ended.wait(0.2):
            if self._stopping:
                continue
            with self._lock:
                for running in self._running.values():
                    self._look_at(running)
                for reviver in self._revivers:
                    self._revive(reviver)

    def _look_at(self, running: _Running) -> None:
        program, now = running.program, time.monotonic()
        code = running.process.poll()
        if code is None:
            if now - running.started > SETTLED:
                running.pause = FIRST_PAUSE
        elif not program.restart or self._stopping:
            return
        elif running.again_at is None:
            kill_group(running.process)  # children of a killed leader would keep its port and its work
            self._say(
                f"{program.name} ended {how_it_ended(code)} and is started again in {running.pause:g} s; "
                f"it wrote to {self._log(program)}."
            )
            running.again_at = now + running.pause
            running.pause = min(running.pause * 2, LONGEST_PAUSE)
        elif now >= running.again_at:
            running.again_at = None
            try:
                running.process, running.started = self._spawn(program), now
            except OSError as error:
                self._say(f"{program.name} cannot be started: {error}.")

    def _revive(self, reviver: Callable[[], object]) -> None:
        try:
            reviver()
        except Exception as error:  # the watch goes on: the next look tries again
            self._say(str(error))
            self._ended.wait(LONGEST_PAUSE)

    def _end(self, running: _Running) -> None:
        process, program = running.process, running.program
        if process.poll() is None:
            process.send_signal(program.stop_signal)
            give_up = time.monotonic() + program.grace
            while process.poll() is None and time.monotonic() < give_up and not self._hurry:
                time.sleep(0.02)
            if process.poll() is None:
                self._say(f"{program.name} has not ended by itself and is killed.")
        kill_group(process)
        process.wait()
