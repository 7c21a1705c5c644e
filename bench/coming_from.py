"""`python -m bench.coming_from`: run the programs of others that docs/coming-from shows.

Each page has a program of a peer in a block `py`; a comment after `print` is what it prints. The
peer's packages are those of `bench/peers/`, in an environment of its own. Modal's program needs an
account there and is only compiled.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import environments

PAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "coming-from"
OWN_ENVIRONMENT: Final = ("dask", "joblib", "lithops", "ray")
NOT_RUN: Final = ("modal",)
LONGEST_S: Final = 120


def program(page: Path) -> tuple[str, list[str]]:
    """Return the peer's program on a page, and the lines that it should print."""
    (source,) = re.findall(
        r"^```py\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return source, re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE)


def printed(python: str | Path, source: str) -> list[str]:
    """Run a program with a Python whose programs are first on the PATH; return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "program.py")
        script.write_text(source, encoding="utf-8")
        path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [python, script],
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
            env=os.environ | {"PATH": path},
        )
    # Lithops ends its progress bars on standard output.
    return [line for line in done.stdout.splitlines() if line] or done.stderr.splitlines()[-1:]


def main() -> int:
    """Run the program of each page; return how many printed something else."""
    wrong = 0
    for page in sorted(PAGES.glob("[!R]*.md")):
        name = page.stem
        source, expected = program(page)
        compile(source, str(page), "exec")
        if name in NOT_RUN:
            print(f"{name}: compiled")
            continue
        if name in OWN_ENVIRONMENT:
            environments.make(name)
        python = environments.python(name) if name in OWN_ENVIRONMENT else sys.executable
        found = printed(python, source)
        wrong += found != expected
        print(f"{name}: {'as shown' if found == expected else f'printed {found}'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
