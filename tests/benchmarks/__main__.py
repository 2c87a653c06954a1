"""`python -m tests.benchmarks [name …]`: run the benchmarks and print their figures, each in a process of its own."""

import subprocess
import sys
import time
from importlib import import_module

NAMES = ("accounts", "catalogue", "grown", "intake", "orders", "recalls", "reports", "start")


def main(wanted: list[str]) -> None:
    for name in wanted:
        if name not in NAMES:
            raise SystemExit(f"There is no benchmark {name!r}; there are {', '.join(NAMES)}.")
    if len(wanted) == 1:
        began = time.monotonic()
        for line in import_module(f"tests.benchmarks.{wanted[0]}").run():
            print(line, flush=True)
        print(f"  ({wanted[0]}: {time.monotonic() - began:.0f} s)", flush=True)
    else:
        for name in wanted or NAMES:
            subprocess.run([sys.executable, "-m", "tests.benchmarks", name], check=True)


main(sys.argv[1:])
