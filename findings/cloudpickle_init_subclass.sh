#!/usr/bin/env bash
# cloudpickle 3.1.3: reading a class calls __init_subclass__ again: without its keywords, and before the body is there.
#
# A class that is sent by value is made anew as an empty class of the same bases; its attributes are set afterwards. So
# `__init_subclass__` of a base runs a second time, for a class without attributes, and what the class statement passed,
# `class Resize(Plugin, kind="image")`, is not passed again. A registry that the base has filled travels with it and
# then holds an entry of the class twice, the second with defaults. If a keyword has no default, the class, and each
# instance of it, is pickled without a word and cannot be read.
#
# Seen (CPython 3.11.7): a second entry ('Resize', 'none', None), and a TypeError that names the keyword.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3
cat > "$work/send.py" <<'PY'
import sys

import cloudpickle

class Plugin:
    known = []

    def __init_subclass__(cls, *, kind="none"):
        Plugin.known.append((cls.__name__, kind, getattr(cls, "command", None)))

class Resize(Plugin, kind="image"):
    command = "resize"

class Shape:
    def __init_subclass__(cls, *, corners):
        cls.corners = corners

class Triangle(Shape, corners=3):
    pass

with open(sys.argv[1], "wb") as file:
    for value in (Resize, Plugin.known, Triangle()):
        file.write(cloudpickle.dumps(value).hex().encode() + b"\n")
PY
cat > "$work/receive.py" <<'PY'
import pickle
import sys

for line in open(sys.argv[1], "rb"):
    try:
        value = pickle.loads(bytes.fromhex(line.decode()))
    except TypeError as error:
        print("TypeError:", error)
    else:
        print(value.__mro__[1].known if isinstance(value, type) else value)
PY
"$work/venv/bin/python" "$work/send.py" "$work/sent"
seen=$("$work/venv/bin/python" "$work/receive.py" "$work/sent")
echo "$seen"
grep -qxF "[('Resize', 'image', 'resize')]" <<<"$seen"
grep -qxF "[('Resize', 'image', 'resize'), ('Resize', 'none', None)]" <<<"$seen" \
  || { echo "changed: __init_subclass__ is not called again, or with its keywords"; exit 1; }
grep -q "^TypeError: .*missing 1 required keyword-only argument: 'corners'" <<<"$seen"
