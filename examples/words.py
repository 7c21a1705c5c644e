"""Data on the platform: files become objects, jobs map over them, shell jobs sort what they wrote.

The question: which names are used most in the source of Python's standard library?

1. Eight threads put its modules into the bucket.
2. `cloud.bucket.map` makes a job for each module. It reads the lines of the object, and stores the
   names in them as another object. No line passes through this program.
3. Shell jobs find both as files and count with `wc`, `sort` and `uniq`.
4. The same in this process: is the answer the same?

    python examples/words.py                      # on processes of this machine
    python examples/words.py --stack hashicorp    # on Nomad, Consul, Vault and S3
    python examples/words.py --stack yours        # on the server that you use otherwise

It starts a stack of its own in a temporary directory and removes both at the end, unless it is
yours: then it removes its objects. Slots need /dev/fuse, which shows the bucket as files.
"""

import argparse
import contextlib
import os
import re
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloud
from demo import own_stack

NAME = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
IN_BUCKET = 'cd "$(python -c "import cloud; print(cloud.bucket.mount_path())")"/words && '
"""How a shell command reaches the bucket as a folder."""
MOST = 5
"""How many names the answer has."""


def names_of(lines: Iterable[bytes]) -> bytes:
    """Return each name in some lines, on a line of its own."""
    return b"".join(name + b"\n" for line in lines for name in NAME.findall(line))


def store_names(source: cloud.bucket.CloudBucketObject) -> int:
    """Store the names in a module as an object: this runs in jobs. Return how many there are."""
    names = names_of(source)
    cloud.bucket.putf(names, source.name.replace("/source/", "/names/", 1))
    return names.count(b"\n")


def put(modules: list[Path], root: Path) -> None:
    """Store modules as objects."""
    start = time.perf_counter()
    with ThreadPoolExecutor(8) as threads:
        keys = ["words/source/" + path.relative_to(root).as_posix() for path in modules]
        list(threads.map(cloud.bucket.put, modules, keys))
    size = sum(path.stat().st_size for path in modules)
    print(f"1. {len(modules)} modules, {size:,} bytes, put in {time.perf_counter() - start:.1f} s")


def store_all_names() -> int:
    """Store the names in all modules, by jobs; return how many there are."""
    start = time.perf_counter()
    jids = cloud.bucket.map(store_names, prefix="words/source/")
    count = sum(cloud.result(jids))
    print(f"2. {len(jids)} jobs found {count:,} names in {time.perf_counter() - start:.1f} s")
    return count


def run_in_bucket(command: str) -> str:
    """Run a shell command as a job, where the objects are files; return what it prints."""
    print(f"   $ {command}")
    output: str = cloud.result(cloud.shell.execute(IN_BUCKET + command))
    print("".join(f"   {line}\n" for line in output.splitlines()), end="")
    return output


def count_in_shell() -> tuple[int, list[tuple[int, str]]]:
    """Return how many names there are, and those used most, as shell jobs find them."""
    print("3. Shell jobs, in the bucket")
    total = run_in_bucket("find names -type f -exec cat {} + | wc -l")
    # The file that `sort` writes is an object that later jobs can read.
    run_in_bucket("find names -type f -exec cat {} + | LC_ALL=C sort > sorted; wc -c < sorted")
    most = run_in_bucket(f"uniq -c sorted | LC_ALL=C sort -k1,1nr -k2 | head -{MOST}")
    rows = [line.split() for line in most.splitlines()]
    return int(total), [(int(number), name) for number, name in rows]


def count_here(modules: list[Path]) -> tuple[int, list[tuple[int, str]]]:
    """Return the same, as this process finds it."""
    names = b"".join(names_of(path.read_bytes().splitlines()) for path in modules).split()
    counted = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return len(names), [(number, name.decode()) for name, number in counted[:MOST]]


def main() -> None:
    """Put, map, sort and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", choices=["embedded", "hashicorp", "yours"], default="embedded")
    parser.add_argument("--modules", type=int, default=200, help="how many files (default: 200)")
    options = parser.parse_args()
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in root.glob("*.py") if path.stat().st_size)
    modules = [*paths, *sorted(root.glob("asyncio/*.py"))][: options.modules]
    own = options.stack != "yours"
    with own_stack(options.stack, os.cpu_count() or 2) if own else contextlib.nullcontext():
        try:
            put(modules, root)
            found = store_all_names()
            total, most = count_in_shell()
        finally:
            cloud.bucket.remove_prefix("words/")
    here = count_here(modules)
    if (total, most) != here or total != found:
        sys.exit(f"4. ANOTHER ANSWER HERE: {here}")
    print("4. The same answer here.")


if __name__ == "__main__":
    main()
