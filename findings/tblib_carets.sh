#!/usr/bin/env bash
# tblib 3.2.2 on CPython 3.11+: a traceback that was pickled and loaded again underlines the wrong expression.
#
# CPython marks the failing part of a line with carets, from the column positions of the frame's code
# object. tblib rebuilds each frame by running a stub code object that was moved to the right file and
# line number, but the stub keeps the columns of its own source. The source line shown is right; the
# carets below it belong to another program.
#
# Seen (tblib 3.2.2, CPython 3.11.7), the same exception before and after pickling:
#         return p.kind + 1 if p else None.kind
#                                     ^^^^^^^^^     before
#           ^^^^^^^^^^^^^^^^^                       after
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tblib==3.2.2
cat > "$work/program.py" <<'PY'
import pickle, traceback
from tblib import pickling_support

pickling_support.install()

def scale(p):
    return p.kind + 1 if p else None.kind

def marked(error):
    """What the carets of the last frame stand under."""
    lines = traceback.format_exception(error)
    at = max(i for i, line in enumerate(lines) if line.lstrip().startswith("File"))
    _, source, carets, *_ = lines[at].splitlines()
    first = carets.index("^")
    return source[first : first + carets.count("^")]

try:
    scale(None)
except AttributeError as error:
    print(f"before: {marked(error)}")
    print(f"after: {marked(pickle.loads(pickle.dumps(error)))}")
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
grep -qx 'before: None.kind' <<<"$seen"
! grep -qx 'after: None.kind' <<<"$seen" || { echo "changed: the carets are right now"; exit 1; }
grep -q '^after: ' <<<"$seen"
