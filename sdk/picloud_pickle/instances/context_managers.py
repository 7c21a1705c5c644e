"""Context managers that `contextlib` makes of generators, which serve as decorators as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud_pickle.reference import Unsendable

if TYPE_CHECKING:
    from picloud_pickle.reference import PicklingContext


def reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of one that has not been entered.

    Raises:
        Unsendable: If its generator has begun.
    """
    context.modules.add("contextlib")
    scope = vars(value)
    if "func" not in scope:  # `__enter__` deletes it
        raise Unsendable(
            "is a context manager that is in use, which cannot be pickled; "
            "create it inside the function"
        )
    return type(value), (scope["func"], scope["args"], scope["kwds"])
