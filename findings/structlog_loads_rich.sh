#!/usr/bin/env bash
# structlog 26.1.0 beside rich 15.0.0: a service that logs JSON loads the terminal library, and with it pygments.
#
# `import structlog` imports structlog.dev for its console renderer, which imports rich.console and rich.traceback
# wherever rich is installed, though no renderer was chosen. A server that shares its environment with a command line
# made with rich, as Typer's are, carries some 60 modules more in each of its processes, several MB of them. Whoever
# installs the server alone does not see it.
#
# Seen (structlog 26.1.0, rich 15.0.0, Python 3.11):
#     without rich: 0 modules of rich or pygments
#     with rich: more than 50 modules of rich or pygments, more than 2 MB
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check structlog==26.1.0 Pygments==2.21.0
cat > "$work/program.py" <<'PY'
import asyncio, dataclasses, html, inspect, json, logging, sys, traceback, typing, zoneinfo  # what any server has loaded
from pathlib import Path


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


before = resident()
import structlog

more = [name for name in sys.modules if name.split(".")[0] in ("rich", "pygments")]
print(len(more), resident() - before)
PY
read -r without without_mb < <("$work/venv/bin/python" "$work/program.py")
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rich==15.0.0
read -r with with_mb < <("$work/venv/bin/python" "$work/program.py")
echo "without rich: $without modules of rich or pygments, $without_mb MB"
echo "with rich: $with modules of rich or pygments, $with_mb MB"
test "$without" -eq 0 && test "$with" -gt 50 || { echo "changed: structlog loads rich otherwise"; exit 1; }
python3 -c "import sys; sys.exit(not $with_mb - $without_mb > 2)" || { echo "changed: it costs less memory"; exit 1; }
