#!/usr/bin/env bash
# CPython 3.11-3.13: `raise` without an expression, and the end of a `with` block, add no frame to a traceback.
#
# Libraries shorten tracebacks by assigning to `__traceback__` on the way out: error.__traceback__ = None, then `raise`.
# One expects the function that raises again to be the innermost entry from there on. It is missing altogether: a
# re-raise continues the unwinding of this frame, which was entered in the traceback when the exception came in and is
# not entered a second time. `raise error` begins anew and does add it. So a border written as a context manager, or
# with a bare `raise`, hides its own caller's function as well, and a traceback can name no function at all.
#
# Seen (CPython 3.11.7, 3.12.1, 3.13.0): the frames of the traceback after it was set to None on the way out
#     a with block   ['<module>']
#     raise          ['<module>']
#     raise error    ['<module>', 'raised_by_name']
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/program.py" <<'PY'
import traceback


class Border:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        error.__traceback__ = None
        return False


def left_by_with():
    with Border():
        int("x")


def raised_again():
    try:
        int("x")
    except ValueError as error:
        error.__traceback__ = None
        raise


def raised_by_name():
    try:
        int("x")
    except ValueError as error:
        error.__traceback__ = None
        raise error


for function in (left_by_with, raised_again, raised_by_name):
    try:
        function()
    except ValueError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        print(function.__name__, *names)
PY
python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
    || { echo "seen with CPython 3.11 to 3.13 only, not with $(python3 --version)"; exit 1; }
python3 --version
seen=$(python3 "$work/program.py")
echo "$seen"
diff <(echo "$seen") - <<'SEEN' || { echo "changed: a re-raise enters its frame now"; exit 1; }
left_by_with <module>
raised_again <module>
raised_by_name <module> raised_by_name
SEEN
