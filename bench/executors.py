"""What is measured of jobs behind other interfaces: executors, joblib, futures, handles."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from bench.timed import timed

if TYPE_CHECKING:
    from bench.contenders.contender import Contender

_MAPPED: Final = 10_000
_CHUNK: Final = 100
_HANDLES: Final = 100_000
_SAMPLES: Final = 1000
_FEATURES: Final = 100
_FOLDS: Final = 5
_CANDIDATES: Final = 40


def maps(contender: Contender) -> dict[str, float]:
    """A map of an executor, whose items are tasks of their own, and the same with a chunksize."""
    from bench.measures import identity

    rates = {}
    with contender.executor() as executor:
        list(executor.map(identity, range(100)))
        for row, size in (("executor_map", 1), ("executor_chunks", _CHUNK)):
            start = time.perf_counter()
            results = list(executor.map(identity, range(_MAPPED), chunksize=size))
            rates[row] = _MAPPED / (time.perf_counter() - start)
            _check(results == list(range(_MAPPED)))
    return rates


def search(contender: Contender) -> dict[str, float]:
    """Short fits of scikit-learn's GridSearchCV, by the backend of joblib; the third search."""
    import numpy as np
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    random = np.random.default_rng(1)
    samples = random.normal(size=(_SAMPLES, _FEATURES))
    targets = samples @ random.normal(size=_FEATURES) + random.normal(size=_SAMPLES)
    candidates = {"alpha": np.logspace(-3, 3, _CANDIDATES)}

    def fit() -> Any:
        return GridSearchCV(Ridge(), candidates, cv=_FOLDS, refit=False).fit(samples, targets)

    with contender.joblib_backend():
        for _ in range(2):
            fit()  # each worker imports scikit-learn
        start = time.perf_counter()
        found = fit()
        took_s = time.perf_counter() - start
    _check(len(found.cv_results_["params"]) == _CANDIDATES)
    return {"search": took_s}


def completed(contender: Any) -> dict[str, float]:
    """`as_completed` over jobs that have ended, by number; and what their handles take."""
    from bench.measures import identity

    cloud = contender.cloud
    jobs = cloud.map(identity, range(_HANDLES))
    cloud.join(jobs)
    few = list(jobs[: _HANDLES // 10])
    list(cloud.as_completed(few))
    few_s = timed(lambda: _check(len(list(cloud.as_completed(few))) == len(few)))
    many_s = timed(lambda: _check(len(list(cloud.as_completed(jobs))) == _HANDLES))
    tracemalloc.start()
    handles = list(jobs)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _check(len(handles) == _HANDLES)
    return {
        "completed": _HANDLES / many_s,
        "completed_share": many_s / few_s * len(few) / _HANDLES,
        "handles": size / 1024**2,
    }


def _check(is_right: bool) -> None:
    if not is_right:
        message = "a contender returned wrong results: its time means nothing"
        raise ValueError(message)
