"""Names that code uses in ways that its instructions do not show."""

from typing import Final

MAIN: Final = "__main__"
MODULES: Final = "modules"
GLOBALS: Final = "globals"
EVALUATE: Final = frozenset(("eval", "exec"))
"""Built-in functions that take code as text."""
TAKE_CODE: Final = frozenset(("timeit", "Timer", "repeat", "runctx", "evaluate"))
TAKE_FORMULA: Final = frozenset(
    ("ols", "wls", "gls", "glm", "logit", "probit", "poisson", "mixedlm", "dmatrix", "dmatrices")
)
"""Functions of numexpr, profilers and statsmodels that read the globals of their caller."""
READERS: Final = EVALUATE | TAKE_CODE | TAKE_FORMULA | {GLOBALS, "query", MODULES, MAIN}
"""What may look up globals by a text: `texts` says how, and is loaded for code that has one."""
