"""A slot that carries out orders: scheduler tests start it in place of a real one.

It reads its proof, writes what it finds out about itself to `seen.json` in its work directory, and
then reads orders from the pipe `orders` there: `exit N`, `deaf` (ignore SIGTERM), `child` (start a
process in a group of its own), `say TEXT`. It confirms each order by a file of the order's name.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

NO_PROOF = 4


def main() -> None:
    """Report, then carry out orders."""
    before = open_descriptors()
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--place", required=True)
    parser.add_argument("--proof-fd", type=int, required=True)
    arguments = parser.parse_args()
    with os.fdopen(arguments.proof_fd) as pipe:
        proof = pipe.read()
    if not proof:
        sys.exit(NO_PROOF)
    os.mkfifo("orders")
    orders = os.open("orders", os.O_RDWR)
    seen = {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "proof": proof,
        "proof_fd": arguments.proof_fd,
        "url": arguments.url,
        "place": arguments.place,
        "directory": str(Path.cwd()),
        "descriptors": before,
    }
    write("seen.json", json.dumps(seen))
    for line in os.fdopen(orders):
        carry_out(*line.strip().split(" ", 1))


def open_descriptors() -> dict[str, str]:
    """The open descriptors, by number."""
    numbers = list(Path("/proc/self/fd").iterdir())
    # The descriptor by which the list was read is closed by now.
    return {path.name: str(path.readlink()) for path in numbers if os.path.lexists(path)}


def write(name: str, text: str) -> None:
    """Write a file that is complete as soon as it exists."""
    Path(f".{name}").write_text(text)
    Path(f".{name}").rename(name)


def carry_out(order: str, detail: str = "") -> None:
    """Carry out one order."""
    answer = ""
    if order == "exit":
        sys.exit(int(detail))
    elif order == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif order == "child":
        child = subprocess.Popen(["sleep", "600"], process_group=0)
        answer = str(child.pid)
    elif order == "say":
        print(detail, file=sys.stderr, flush=True)
    write(order, answer)


if __name__ == "__main__":
    main()
