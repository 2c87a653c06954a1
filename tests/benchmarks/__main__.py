"""`python -m tests.benchmarks [name …]`: run the benchmarks and print their figures."""

import sys
import time
from importlib import import_module

NAMES = ("catalogue", "orders", "reports", "start")


def main() -> None:
    wanted = sys.argv[1:] or NAMES
    for name in wanted:
        if name not in NAMES:
            raise SystemExit(f"There is no benchmark {name!r}; there are {', '.join(NAMES)}.")
        began = time.monotonic()
        for line in import_module(f"tests.benchmarks.{name}").run():
            print(line, flush=True)
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)


main()
