#!/usr/bin/env bash
# joblib 1.6.0: Parallel raises what a task of a backend raised without the frames of the task.
#
# A backend that declares `supports_retrieve_callback` raises the exception of a task in `retrieve_result_callback`, with
# whatever traceback it has: that of another process, or as here of a thread. joblib sets `__traceback__` to None on it
# before it raises it again, so that the program sees joblib's own frames and not the line that failed. Notes and
# `__cause__` are kept: loky puts the remote traceback into a `__cause__`, and another backend has to do likewise.
#
# Seen (joblib 1.6.0): the note arrives, the frame `task` does not.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check joblib==1.6.0
cat > "$work/program.py" <<'PY'
import traceback
from concurrent.futures import ThreadPoolExecutor

import joblib
from joblib.parallel import ParallelBackendBase

class Backend(ParallelBackendBase):
    supports_retrieve_callback = True

    def effective_n_jobs(self, n_jobs):
        return 2

    def configure(self, n_jobs=1, parallel=None, **_):
        self.parallel, self.pool = parallel, ThreadPoolExecutor(2)
        return 2

    def submit(self, func, callback=None):
        future = self.pool.submit(func)
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future):
        error = future.exception()
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        error.add_note(f"note: {'task' in frames}")
        raise error

def task(number):
    return 1 / number

joblib.register_parallel_backend("threads", Backend)
with joblib.parallel_config("threads"):
    try:
        joblib.Parallel()(joblib.delayed(task)(number) for number in (0, 0))
    except ZeroDivisionError as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        print(*error.__notes__[:1], "raised:", "task" in frames)
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
! grep -q 'raised: True' <<<"$seen" || { echo "changed: joblib keeps the frames of a task now"; exit 1; }
grep -qx 'note: True raised: False' <<<"$seen"
