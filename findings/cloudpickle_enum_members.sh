#!/usr/bin/env bash
# cloudpickle 3.1.3: an enumeration that is pickled by value arrives without its aliases, and its members
# without the attributes that their `__init__` set.
#
# cloudpickle rebuilds an Enum from the list of its members, which leaves out aliases (names that share a
# value), and makes the members without calling `__init__`. Nothing is raised: `Planet["HOME"]` is a
# KeyError and `Planet.EARTH.mass` an AttributeError only where the program comes to them.
#
# Seen (CPython 3.11.7), here and in another process:
#     here ['EARTH', 'MARS', 'HOME'] 5.97
#     there ['EARTH', 'MARS'] None
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3
cat > "$work/program.py" <<'PY'
import subprocess, sys
from enum import Enum
import cloudpickle

class Planet(Enum):
    EARTH = (5.97, 6371)
    MARS = (0.64, 3390)
    HOME = (5.97, 6371)  # an alias of EARTH

    def __init__(self, mass, radius):
        self.mass = mass

print("here", [*Planet.__members__], getattr(Planet.EARTH, "mass", None), flush=True)
there = """
import pickle, sys
Planet = pickle.load(sys.stdin.buffer)
print("there", [*Planet.__members__], getattr(Planet.EARTH, "mass", None))
"""
subprocess.run([sys.executable, "-c", there], input=cloudpickle.dumps(Planet), check=True)
PY
"$work/venv/bin/python" "$work/program.py" | tee "$work/seen"
diff "$work/seen" - <<'TXT'
here ['EARTH', 'MARS', 'HOME'] 5.97
there ['EARTH', 'MARS'] None
TXT
