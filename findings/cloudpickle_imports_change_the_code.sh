#!/usr/bin/env bash
# cloudpickle 3.1.3 on CPython 3.11: the same function has another pickle where its cell or file imports the module it uses.
#
# CPython compiles `math.sqrt(x)` to a plain attribute and a call if an import statement of the same source names `math`
# at its top level, before or after the function or in an `if`; else to a method call. So the bytecode of a function
# depends on text outside of it: a notebook cell that imports and defines makes another function than a cell that only
# defines, though both see the same globals. Digests of pickled functions (caches of results, ids of remote functions)
# differ then, and a function that is compiled alone from `inspect.getsource` is not equal to the one it came from.
#
# Seen (CPython 3.11.7; 3.12 to 3.14 compile alike): three of four pickles are equal, that without the import differs.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cloudpickle==3.1.3
cat > "$work/program.py" <<'PY'
import hashlib
import math

import cloudpickle

FUNCTION = "def f(x):\n    return math.sqrt(x)\n"
CELLS = {
    "imported above": f"import math\n{FUNCTION}",
    "imported below": f"\n{FUNCTION}import math\n",
    "imported in an if": f"if True: import math\n{FUNCTION}",
    "defined only": f"\n{FUNCTION}",
}
for name, cell in CELLS.items():
    globals_of_all = {"__name__": "__main__", "math": math}
    exec(compile(cell, "cell", "exec"), globals_of_all)
    function = globals_of_all["f"]
    digest = hashlib.sha256(cloudpickle.dumps(function)).hexdigest()
    print(f"{name}: {function(9.0)} {digest[:12]}")
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
[ "$(grep -c ': 3.0 ' <<<"$seen")" = 4 ]
with=$(grep '^imported' <<<"$seen" | awk '{print $NF}' | sort -u)
without=$(grep '^defined' <<<"$seen" | awk '{print $NF}')
[ "$(wc -l <<<"$with")" = 1 ]
[ "$with" != "$without" ] || { echo "changed: the bytecode no longer depends on imports"; exit 1; }
