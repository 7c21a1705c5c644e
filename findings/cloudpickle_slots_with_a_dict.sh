#!/usr/bin/env bash
# cloudpickle 3.1.3: an object of a class with __slots__ has a __dict__ once the class has been sent by value.
#
# cloudpickle makes the class first and sets its attributes afterwards, __slots__ among them. A metaclass looks at
# __slots__ only while it makes the class, so that each instance gets a dictionary and a list of weak references, and the
# dictionary holds the attributes. The class still says that it has slots, everything reads as before, and nothing is
# raised. But what slots are written for is gone in the place where most of the objects are: an object takes half as
# much memory again as here, or more, and a misspelt attribute, an AttributeError here, is kept. This holds for
# __slots__ in a class, for @dataclass(slots=True), and for attrs.define, which makes slots by default. In an imported
# module, which is sent as its name, they stay what they are.
#
# Seen (cloudpickle 3.1.3, attrs 26.1.0), here and in another process:
#     here: slots ('x', 'y'), __dict__ False, misspelt attribute AttributeError, 57 bytes (attrs 65)
#     there: slots ('x', 'y'), __dict__ True, misspelt attribute kept, 97 bytes
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3 attrs==26.1.0
cat > "$work/program.py" <<'PY'
import subprocess
import sys
from dataclasses import dataclass

import attrs
import cloudpickle


class Plain:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


@dataclass(slots=True)
class AsDataclass:
    x: int
    y: int


@attrs.define
class AsAttrs:
    x: int
    y: int


def show(place):
    import tracemalloc

    for kind in (Plain, AsDataclass, AsAttrs):
        tracemalloc.start()
        held = [kind(1, 2) for _ in range(10_000)]
        size = tracemalloc.get_traced_memory()[0] / len(held)
        tracemalloc.stop()
        one = held[0]
        try:
            one.z = 3
            misspelt = "kept"
        except AttributeError:
            misspelt = "AttributeError"
        print(
            f"{place}: {kind.__name__}: slots {kind.__slots__[:2]}, __dict__ {hasattr(one, '__dict__')},"
            f" misspelt attribute {misspelt}, {'more' if size > 85 else 'less'} than 85 bytes"
        )
        print(f"{place}: {kind.__name__}: {size:.0f} bytes", file=sys.stderr)


show("here")
sys.stdout.flush()
load = "import pickle, sys; pickle.load(sys.stdin.buffer)('there')"
subprocess.run([sys.executable, "-c", load], input=cloudpickle.dumps(show), check=True)
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: slots arrive otherwise"; exit 1; }
here: Plain: slots ('x', 'y'), __dict__ False, misspelt attribute AttributeError, less than 85 bytes
here: AsDataclass: slots ('x', 'y'), __dict__ False, misspelt attribute AttributeError, less than 85 bytes
here: AsAttrs: slots ('x', 'y'), __dict__ False, misspelt attribute AttributeError, less than 85 bytes
there: Plain: slots ('x', 'y'), __dict__ True, misspelt attribute kept, more than 85 bytes
there: AsDataclass: slots ('x', 'y'), __dict__ True, misspelt attribute kept, more than 85 bytes
there: AsAttrs: slots ('x', 'y'), __dict__ True, misspelt attribute kept, more than 85 bytes
SEEN
