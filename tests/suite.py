"""Run the whole suite: what `make test` calls.

Usage: python -m tests.suite [OPTION...]; the options go to each pytest.

It runs in two processes at once, as the end-to-end tests and the pages wait more than they compute.

If a few tests fail, they are run once more, alone and with servers of their own. What passes then
leaned on timing, or met a race: the suite passes, and ends with the names of those tests, and
each is to be looked into. What fails twice fails.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

WAITING: Final = ("tests/e2e", "tests/docs", "docs")
CACHES: Final = Path(".pytest_cache", "suite")
MOST_REPEATED: Final = 5
"""If more tests fail, something is broken, and running them again would only hide it longer."""
_PASSED, _FAILED, _INTERRUPTED = 0, 1, 130


class Part:
    """A pytest process that runs some of the tests.

    Args:
        name: What its cache is called.
        arguments: What pytest is given: paths, node ids and options.
    """

    def __init__(self, name: str, arguments: list[str]) -> None:
        self._cache = CACHES / name
        shutil.rmtree(self._cache, ignore_errors=True)
        cache = ("--override-ini", f"cache_dir={self._cache}")
        self._process = subprocess.Popen([sys.executable, "-m", "pytest", *arguments, *cache])

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        return self._process.wait()

    def failed(self) -> list[str]:
        """Return the node ids of the tests that failed in it."""
        try:
            return list(json.loads((self._cache / "v" / "cache" / "lastfailed").read_bytes()))
        except FileNotFoundError:
            return []


def main(options: list[str]) -> int:
    """Run all tests, and those that failed once more; return the exit code."""
    others = ["tests", *(f"--ignore={path}" for path in WAITING)]
    parts = [Part("waiting", [*WAITING, *options]), Part("others", [*others, *options])]
    try:
        codes = [part.wait() for part in parts]
        failed = [test for part in parts for test in part.failed()]
        crashed = [code for code in codes if code not in (_PASSED, _FAILED)]
        if crashed or not 0 < len(failed) <= MOST_REPEATED:
            return (crashed or [max(codes)])[0]
        return repeat(failed, options)
    except KeyboardInterrupt:
        for part in parts:
            part.wait()
        return _INTERRUPTED


def repeat(failed: list[str], options: list[str]) -> int:
    """Run failed tests once more, alone; name those that pass, and return the exit code."""
    print("\nOnce more, alone:", *failed, sep="\n  ", flush=True)
    # An example of a page needs the examples before it.
    again = dict.fromkeys(test.partition("::")[0] if ".md" in test else test for test in failed)
    code = Part("repeated", [*again, *options]).wait()
    if code == _PASSED:
        print("\nUnsteady: failed, then passed alone. Find out what they lean on.", end="")
        print("", *failed, sep="\n  ", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
