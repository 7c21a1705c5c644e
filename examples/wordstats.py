"""Word statistics over every module of the installed Python's standard library.

One job for each file counts its words in the cloud; the counts are added up here and compared with
a serial run. There are about 1,500 files.

    python examples/wordstats.py             # on the server of your profile (see: picloud up)
    python examples/wordstats.py --simulate  # on a stack of its own, which it starts and stops
"""

import argparse
import re
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

import cloud

WORD = re.compile(r"[A-Za-z_]{3,}")


def count_words(path: str) -> Counter[str]:
    """Return how often each word occurs in a file."""
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    return Counter(word.lower() for word in WORD.findall(text))


def library() -> list[str]:
    """Return every source file of the standard library, without third-party packages."""
    root = Path(sysconfig.get_path("stdlib"))
    return sorted(str(path) for path in root.rglob("*.py") if "site-packages" not in path.parts)


def reduced(counts: list[Counter[str]]) -> Counter[str]:
    """Return the sum of all counts."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def main() -> None:
    """Count in the cloud, count serially, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulate", action="store_true", help="use a stack of its own")
    if parser.parse_args().simulate:
        print("Starting a stack of its own ...")
        cloud.start_simulator()

    files = library()
    print(f"Counting words in {len(files):,} files of Python {sys.version.split()[0]} ...")
    start = time.perf_counter()
    jids = cloud.map(count_words, files)
    submitted = time.perf_counter() - start
    words = reduced(cloud.result(jids))
    took = time.perf_counter() - start
    print(f"  cloud.map: jobs {jids[0]}-{jids[-1]}")
    print(f"             {submitted:.2f} s to submit, {took:.2f} s until reduced")

    start = time.perf_counter()
    expected = reduced([count_words(path) for path in files])
    print(f"  serially:  {time.perf_counter() - start:.2f} s")
    if words != expected:
        sys.exit("The cloud counted differently from the serial run.")
    print(f"Both agree: {sum(words.values()):,} words, {len(words):,} of them different.")
    for word, number in words.most_common(5):
        print(f"  {word:<10} {number:>8,}")


if __name__ == "__main__":
    main()
