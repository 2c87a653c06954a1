import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.supervisor import Program, Supervisor

ROOT = Path(__file__).parents[2]
SLEEPER = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(60)"]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path, said):
    with Supervisor(logs=tmp_path, say=said.append) as made:
        yield made


def test_a_killed_program_is_back_within_seconds_and_that_is_said(supervisor, said, tmp_path):
    supervisor.start(Program("worker", SLEEPER))
    first = supervisor.pid("worker")
    wait_until(lambda: (tmp_path / "worker.log").read_text() == "started\n")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: (tmp_path / "worker.log").read_text() == "started\nstarted\n", seconds=5)
    assert supervisor.pid("worker") != first
    assert said[0].startswith("worker ended by SIGKILL and is started again in 0.5 s")


def test_what_a_killed_leader_leaves_behind_is_ended_before_the_next_start(supervisor, tmp_path):
    leader = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    supervisor.start(Program("web", [sys.executable, "-c", leader]))
    log = tmp_path / "web.log"
    wait_until(lambda: log.read_text().endswith("\n"))
    orphan = int(log.read_text())
    os.kill(supervisor.pid("web"), signal.SIGKILL)
    wait_until(lambda: log.read_text().count("\n") == 2)
    assert is_gone(orphan)


def test_a_program_that_dies_at_once_is_tried_again_ever_later(supervisor, said):
    supervisor.start(Program("broken", [sys.executable, "-c", "raise SystemExit(3)"]))
    wait_until(lambda: len(said) == 3)
    assert ["in 0.5 s" in said[0], "in 1 s" in said[1], "in 2 s" in said[2]] == [True] * 3
    assert "with code 3" in said[0]


def test_a_program_that_runs_once_is_waited_for_and_not_restarted(supervisor, said):
    supervisor.start(Program("once", [sys.executable, "-c", "raise SystemExit(3)"], restart=False))
    assert supervisor.wait("once") == 3
    time.sleep(0.5)
    assert said == []


def test_programs_end_in_reverse_order_with_their_own_signal(tmp_path):
    note = tmp_path / "ends"
    program = (
        "import signal, sys, time\n"
        "def end(number, frame):\n"
        "    open(sys.argv[1], 'a').write(f'{sys.argv[2]} {signal.Signals(number).name}\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); signal.signal(signal.SIGINT, end)\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with Supervisor(logs=tmp_path) as supervisor:
        for name, stop_signal in (("first", signal.SIGINT), ("second", signal.SIGTERM)):
            argv = [sys.executable, "-c", program, str(note), name]
            supervisor.start(Program(name, argv, stop_signal=stop_signal))
            wait_until(lambda name=name: "ready" in (tmp_path / f"{name}.log").read_text())
    assert note.read_text() == "second SIGTERM\nfirst SIGINT\n"


def test_a_program_that_will_not_end_is_killed_after_its_grace(tmp_path, said):
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    with Supervisor(logs=tmp_path, say=said.append) as supervisor:
        supervisor.start(Program("deaf", [sys.executable, "-c", deaf], grace=0.3))
        pid = supervisor.pid("deaf")
        wait_until(lambda: (tmp_path / "deaf.log").read_text())
    assert is_gone(pid)
    assert said == ["deaf has not ended by itself and is killed."]


def test_a_reviver_is_called_again_and_again_even_after_it_failed(supervisor, said):
    calls = []

    def revive() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("no room on the disk")

    supervisor.revive_with(revive)
    wait_until(lambda: len(calls) > 3, seconds=15)
    assert said == ["no room on the disk"]


SUPERVISED = """
import sys
from pathlib import Path
from config.supervisor import Program, Supervisor
try:
    with Supervisor(logs=Path(sys.argv[1])) as supervisor:
        supervisor.start(Program("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"]))
        print(supervisor.pid("sleeper"), flush=True)
        supervisor.serve()
except KeyboardInterrupt:  # the signal came before serve()
    pass
print("all ended", flush=True)
"""


def supervised(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    argv = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    run = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return run, int(run.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_programs_and_then_the_supervisor(tmp_path, number):
    run, pid = supervised(tmp_path)
    run.send_signal(number)
    assert run.communicate(timeout=10)[0] == "all ended\n"
    assert (run.returncode, is_gone(pid)) == (0, True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_the_programs_end_with_a_killed_supervisor(tmp_path):
    run, pid = supervised(tmp_path)
    run.kill()
    run.communicate()
    wait_until(lambda: is_gone(pid))
