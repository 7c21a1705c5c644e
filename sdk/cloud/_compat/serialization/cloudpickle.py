"""`cloud.serialization.cloudpickle`: the functions of the cloudpickle package.

The original client's pickler became that package, so its functions are what old scripts expect.
"""

from cloudpickle import CloudPickler, dump, dumps, load, loads

__all__ = ["CloudPickler", "dump", "dumps", "load", "loads"]
