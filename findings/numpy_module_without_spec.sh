#!/usr/bin/env bash
# numpy 2.4.1: the type of `numpy.random.rand` is in a module that cannot be looked up.
#
# `numpy.random.rand` is no builtin but a bound method over a Cython function. The type of that function
# says that it is from the module `_cython_3_2_4`, which is in `sys.modules` (Cython makes it there, to
# share types between extension modules) but has no `__spec__`. So a tool that asks where the module of a
# type comes from, with `importlib.util.find_spec`, gets a ValueError, and not None.
#
# Seen (CPython 3.11.7):
#     method _cython_3_2_4.cython_function_or_method True
#     ValueError: _cython_3_2_4.__spec__ is None
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.1
cat > "$work/program.py" <<'PY'
import importlib.util, sys
import numpy

kind = type(numpy.random.rand.__func__)
module = kind.__module__
print(type(numpy.random.rand).__name__, f"{module}.{kind.__qualname__}", module in sys.modules)
try:
    print(importlib.util.find_spec(module))
except ValueError as error:
    print(f"ValueError: {error}")
PY
"$work/venv/bin/python" "$work/program.py" | tee "$work/seen"
diff "$work/seen" - <<'TXT'
method _cython_3_2_4.cython_function_or_method True
ValueError: _cython_3_2_4.__spec__ is None
TXT
