#!/usr/bin/env bash
# jsonschema 4.26.0 with its extra format-nongpl: `import jsonschema` takes some twenty times as long, also for who checks no format.
#
# The extra replaces rfc3987, whose licence is the GPL, by rfc3987-syntax 1.1.0 for the formats "iri" and "iri-reference".
# That package builds its parsers with lark when it is imported: seconds of processor time, kept nowhere, in each process.
# jsonschema imports it at its own import if it is installed, inside `suppress(ImportError)`, so that a validation without
# formats pays as well. jupyter-events requires the extra, hence every start of a Jupyter server and each program that shares
# its environment and touches jsonschema. An entry None in sys.modules before the import makes jsonschema believe that
# the package is missing: the import is fast again, and only those two formats are not checked.
#
# Seen (jsonschema 4.26.0, rfc3987-syntax 1.1.0, lark 1.3.1, CPython 3.11): processor time 2.4 s against 0.15 s
#     without the extra: fast, iri False, email True
#     with the extra: at least 5 times as long, iri True, email True
#     with the extra, the package hidden: fast, iri False, email True
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/program.py" <<'PY'
import sys
import time

if sys.argv[1] == "hidden":
    sys.modules["rfc3987_syntax"] = None
began = time.process_time()
import jsonschema

took = time.process_time() - began
known = jsonschema.FormatChecker.checkers
print(took, "iri" in known, "email" in known)
PY
for kind in plain extra; do python3 -m venv "$work/$kind"; done
"$work/plain/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0
"$work/extra/bin/pip" install --quiet --disable-pip-version-check 'jsonschema[format-nongpl]==4.26.0' rfc3987-syntax==1.1.0 lark==1.3.1
cat > "$work/compare.py" <<'PY'
import subprocess
import sys

work = sys.argv[1]


def least(kind, argument):
    command = [f"{work}/{kind}/bin/python", f"{work}/program.py", argument]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(4)]
    # The first run compiles to bytecode.
    return min(float(run[0]) for run in runs[1:]), *runs[0][1:]


fast, *formats = least("plain", "")
for what, (took, iri, email) in {
    "without the extra": (fast, *formats),
    "with the extra": least("extra", ""),
    "with the extra, the package hidden": least("extra", "hidden"),
}.items():
    speed = "at least 5 times as long" if took > 5 * fast else "fast" if took < 3 * fast else f"{took / fast:.1f} times"
    print(f"{what}: {speed}, iri {iri}, email {email}")
PY
seen=$(python3 "$work/compare.py" "$work")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: the import costs something else"; exit 1; }
without the extra: fast, iri False, email True
with the extra: at least 5 times as long, iri True, email True
with the extra, the package hidden: fast, iri False, email True
SEEN
