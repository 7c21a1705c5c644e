#!/usr/bin/env bash
# pydantic 2.14.4: a function of a script under @validate_call takes every global of the script with it through cloudpickle.
#
# cloudpickle 3.1.3 sends of a script's globals only those that the function's code names. @validate_call returns a
# function whose closure holds a ValidateCallWrapper, and this keeps the namespace in which the annotations are to be
# resolved: the globals themselves, not a copy and not only the names in the annotations. So a data frame that the
# function never mentions travels with each copy of it, and a lock or a connection somewhere in the script makes the
# function unpicklable ("cannot pickle '_thread.lock' object", without a word of pydantic). It does so as well for a
# function whose annotations are plain classes, where there is nothing to resolve. Dask, Ray and joblib send functions by
# cloudpickle.
#
# Seen (Python 3.11, bytes pickled of `def f(x: int) -> int: return x + 1` beside a list of 100,000 integers):
#     plain: under 1 kB
#     validate_call: over 300 kB
#     plain, beside a lock: pickled
#     validate_call, beside a lock: TypeError: cannot pickle '_thread.lock' object
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.14.4 cloudpickle==3.1.3
cat > "$work/script.py" <<'PY'
import threading

import cloudpickle
from pydantic import validate_call

table = list(range(100_000))


def plain(x: int) -> int:
    return x + 1


@validate_call
def checked(x: int) -> int:
    return x + 1


def size(function):
    length = len(cloudpickle.dumps(function))
    return "under 1 kB" if length < 1_000 else "over 300 kB" if length > 300_000 else f"{length} bytes"


print("plain:", size(plain))
print("validate_call:", size(checked))
lock = threading.Lock()
for name, function in (("plain", plain), ("validate_call", checked)):
    try:
        cloudpickle.dumps(function)
        print(f"{name}, beside a lock: pickled")
    except TypeError as error:
        print(f"{name}, beside a lock: TypeError: {error}")
PY
seen=$("$work/venv/bin/python" "$work/script.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: validate_call keeps other names"; exit 1; }
plain: under 1 kB
validate_call: over 300 kB
plain, beside a lock: pickled
validate_call, beside a lock: TypeError: cannot pickle '_thread.lock' object
SEEN
