#!/usr/bin/env bash
# cloudpickle 3.1.3 forgets the source file of functions that it pickles by value; 3.1.2 kept it.
#
# Between two patch releases `co_filename` of such a function became the constant "<dynamic-code>".
# So in another process its tracebacks and warnings show neither file nor source line, even where the
# file exists there, and `inspect.getsource` raises.
#
# Seen (CPython 3.11.7):
#     3.1.2 program.py "def half(x):"
#     3.1.3 <dynamic-code> OSError
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/program.py" <<'PY'
import inspect, os, pickle
import cloudpickle

def half(x):
    return x / 2

loaded = pickle.loads(cloudpickle.dumps(half))
try:
    source = f'"{inspect.getsource(loaded).splitlines()[0]}"'
except OSError:
    source = "OSError"
print(cloudpickle.__version__, os.path.basename(loaded.__code__.co_filename), source)
PY
for pin in cloudpickle==3.1.2 cloudpickle==3.1.3; do
  python3 -m venv --clear "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$pin"
  "$work/venv/bin/python" "$work/program.py"
done | tee "$work/seen"
diff "$work/seen" - <<'TXT'
3.1.2 program.py "def half(x):"
3.1.3 <dynamic-code> OSError
TXT
