"""`python -m bench.environments`: an environment for each peer, in `.venv-peers/`.

The packages of each are pinned in `bench/peers/<name>.txt`. If a peer cannot be installed, the
reason is stored for the table, and the others go on.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from bench.registry import PEERS

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".venv-peers"


def python(peer: str) -> Path:
    """Return the Python of a peer's environment."""
    return PLACE / peer / "bin" / "python"


def missing(peer: str) -> str:
    """Return why a peer cannot be measured; "" when it can."""
    reason_file = PLACE / f"{peer}.missing"
    if reason_file.exists():
        return reason_file.read_text(encoding="utf-8")
    made = _stamp(peer).exists()
    return "" if made else "not installed: run `make bench`, or python -m bench.environments"


def make(peer: str) -> None:
    """Install a peer, unless exactly that is already installed."""
    stamp, reason_file = _stamp(peer), PLACE / f"{peer}.missing"
    if stamp.exists():
        return
    reason_file.unlink(missing_ok=True)
    print(f"Installing {peer} into {PLACE.name}/{peer} ...", flush=True)
    venv.create(PLACE / peer, clear=True, with_pip=True)
    pip = [python(peer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--requirement", _pins(peer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason_file.write_text(
            lines[-1] if lines else "pip failed and said nothing", encoding="utf-8"
        )
        print(f"{peer}: {missing(peer)}", file=sys.stderr)
        return
    stamp.touch()


def _pins(peer: str) -> Path:
    return ROOT / "bench" / "peers" / f"{peer}.txt"


def _stamp(peer: str) -> Path:
    digest = hashlib.sha256(_pins(peer).read_bytes()).hexdigest()[:12]
    return PLACE / peer / f"installed-{digest}"


if __name__ == "__main__":
    for name in PEERS:
        make(name)
