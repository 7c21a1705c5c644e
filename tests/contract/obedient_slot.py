"""A slot that does as it is told: started by scheduler tests in place of a real one.

It reads its proof, writes what it sees to `seen.json` in its work directory, and then follows
orders from the pipe `orders` there: `exit N`, `deaf` (ignore SIGTERM), `child` (start a process
in a group of its own), `say TEXT`. Each order is confirmed by a file named after it.
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
    """Look, tell, obey."""
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
    tell("seen.json", json.dumps(seen))
    for line in os.fdopen(orders):
        obey(*line.strip().split(" ", 1))


def open_descriptors() -> dict[str, str]:
    """What is open, by number."""
    numbers = list(Path("/proc/self/fd").iterdir())
    # The list itself was read by a descriptor that is closed by now.
    return {path.name: str(path.readlink()) for path in numbers if os.path.lexists(path)}


def tell(name: str, text: str) -> None:
    """Write a file that is whole as soon as it is there."""
    Path(f".{name}").write_text(text)
    Path(f".{name}").rename(name)


def obey(order: str, detail: str = "") -> None:
    """Do one thing."""
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
    tell(order, answer)


if __name__ == "__main__":
    main()
