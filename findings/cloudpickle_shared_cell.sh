#!/usr/bin/env bash
# cloudpickle 3.1.3: two functions that share a variable no longer share it after a load.
#
# A pair of closures over one cell, as a counter and its reader, is a common way to keep state without a class. cloudpickle
# writes the value of the cell for each function and makes a new cell for each when it loads, even where both functions
# are in the same pickle: the reader never sees what the counter counts, and nothing is raised. Objects that the cells hold
# are shared by the memo, so that a list in the cell works and an int does not.
#
# Seen (cloudpickle 3.1.3, CPython 3.11):
#     here: same cell True, read 1
#     loaded: same cell False, read 0
#     a list in the cell: same cell False, read [1]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3
seen=$("$work/venv/bin/python" - <<'PY'
import pickle

import cloudpickle


def counter():
    count = 0

    def add():
        nonlocal count
        count += 1

    def read():
        return count

    return add, read


def collector():
    items = []

    def add():
        items.append(1)

    def read():
        return items

    return add, read


def tried(name, pair):
    add, read = pair
    add()
    print(f"{name}: same cell {add.__closure__[0] is read.__closure__[0]}, read {read()}")


tried("here", counter())
tried("loaded", pickle.loads(cloudpickle.dumps(counter())))
tried("a list in the cell", pickle.loads(cloudpickle.dumps(collector())))
PY
)
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: cells are loaded otherwise"; exit 1; }
here: same cell True, read 1
loaded: same cell False, read 0
a list in the cell: same cell False, read [1]
SEEN
