"""What a newcomer pays: seconds and megabytes of the install, seconds to the first answer, memory idle and loaded."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.benchmarks import ground, load


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def run() -> list[str]:
    """Install into an empty folder with an empty home, serve without the demo, answer, load, stop."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        top = Path(name)
        top.chmod(0o711)
        project, home = top / "project", top / "home"
        home.mkdir()
        tracked = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ground.ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\0")
        for file in filter(None, tracked):
            target = project / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ground.ROOT / file, target)
        port = ground.free_port()
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_")) or name == "PATH"
        }
        environment |= {"HOME": str(home), "SHOP_PORT": str(port), "SHOP_REQUESTS_PER_MINUTE": "100000000"}
        python = getattr(sys, "_base_executable", sys.executable)
        began = time.monotonic()
        subprocess.run([python, "run.py", "shop", "--help"], cwd=project, env=environment, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        installed = time.monotonic() - began
        url = f"http://127.0.0.1:{port}/v1/public/listings"
        firsts = []
        for _ in range(2):
            began = time.monotonic()
            process = subprocess.Popen(
                [python, "run.py", "shop", "up", "--no-demo"], cwd=project, env=environment,
                stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            while not answers(url):
                time.sleep(0.05)
                if process.poll() is not None:
                    raise RuntimeError("the shop ended before it answered")
            firsts.append(time.monotonic() - began)
            if len(firsts) == 2:
                time.sleep(3)
                idle = ground.memory_mb(process.pid)
                burst = load.burst(port, lambda _: load.get("/v1/public/listings"), seconds=5)
                loaded = ground.memory_mb(process.pid)
            process.send_signal(signal.SIGINT)
            process.wait(60)
        return [
            f"cold install: {installed:.1f} s, {size_mb(project / '.venv'):.0f} MB, 1 command (must 60 s, 350 MB)",
            f"first answer with database and broker: {firsts[0]:.1f} s at first, {firsts[1]:.1f} s later (must 5 s)",
            f"memory of all processes, database and broker included: {idle:.0f} MB idle, {loaded:.0f} MB after a burst"
            f" of {burst.rate:.0f} lists/s (must 450 / 800 MB)",
        ]
