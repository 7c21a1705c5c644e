"""Context variables that jobs set: each job has a copy of the interpreter's context.

What a module sets while it is imported stays for the jobs after it, as an import happens once.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextvars import Context, ContextVar

_ABSENT: Final = object()


class ImportedVariables:
    """The context variables that imports have set in the context of a job.

    >>> from contextvars import ContextVar
    >>> mode = ContextVar("mode", default="")
    >>> imported, job = ImportedVariables(), copy_context()
    >>> before = job.run(copy_context)
    >>> _ = job.run(mode.set, "set by a module")
    >>> job.run(imported.note, before)
    >>> _ = job.run(mode.set, "set by the job")
    >>> imported.keep()
    >>> mode.get()
    'set by a module'
    """

    def __init__(self) -> None:
        self._values: dict[ContextVar[Any], Any] = {}

    def note(self, before: Context) -> None:
        """Note what differs in the current context from what it was before an import."""
        for variable, value in copy_context().items():
            if before.get(variable, _ABSENT) is not value:
                self._values[variable] = value

    def keep(self) -> None:
        """Set in the current context what was noted."""
        for variable, value in self._values.items():
            variable.set(value)
        self._values.clear()
