"""Functions by value: with the globals, submodules and annotations that they use."""

from __future__ import annotations

import dis
import sys
from functools import cache, lru_cache
from inspect import CO_NEWLOCALS
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GenericAlias,
    ModuleType,
    UnionType,
)
from typing import TYPE_CHECKING, Any, Final, ForwardRef, NamedTuple
from weakref import WeakKeyDictionary

import cloudpickle.cloudpickle
from cloudpickle.cloudpickle import _make_empty_cell, _make_function, _whichmodule

from picloud_pickle import copies, rebuild, wrappers
from picloud_pickle.names import READERS
from picloud_pickle.reference import MAIN, by_reference, is_dynamic
from picloud_pickle.source_lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from picloud_pickle.patches.codec_table import CodecTable
    from picloud_pickle.reference import PicklingContext

_GLOBAL: Final = frozenset(("LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"))
_GLOBAL_IN_CLASS: Final = _GLOBAL | {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
"""A class body looks into its own names first and then into the globals."""
_GETTERS: Final = frozenset(("getattr", "attrgetter"))
"""What takes the names of attributes as text."""
_FUTURE_ANNOTATIONS: Final = 0x1000000
_MODULE_NAMES: Final = ("__package__", "__name__", "__path__", "__file__")
_LAMBDA: Final = "<lambda>"
_ANNOTATE: Final = "__annotate__"
"""What the code is called that evaluates the annotations of a function, from Python 3.14 on."""
_LONGEST_ANNOTATION: Final = 200
_SCALARS: Final = (int, float, type(None))
_TYPE_MODULES: Final = frozenset(("typing", "typing_extensions", "types"))


class CodeNames(NamedTuple):
    """Names that a code object uses, those of the code inside it included.

    `variables` are globals it reads or writes, `attributes` all names it mentions, `imports` the
    modules it imports, `annotations` the names that its inner annotations may use, `texts` the
    globals that it may look up by a text. `last_line` is the number of the last line of its source.
    """

    variables: tuple[str, ...]
    attributes: frozenset[str]
    imports: tuple[str, ...]
    annotations: tuple[str, ...]
    texts: frozenset[str]
    last_line: int


_OF_PICKLING: Final = frozenset(
    value
    for module in (cloudpickle.cloudpickle, rebuild, copies)
    for value in vars(module).values()
    if isinstance(value, FunctionType) and value.__module__ == module.__name__
)
"""Functions that pickles call: looked at for every function that travels."""
_names: WeakKeyDictionary[CodeType, CodeNames] = WeakKeyDictionary()


def reduced(context: PicklingContext, function: FunctionType) -> Any:
    """Return the reduction of a function; NotImplemented for one that a module has by its name."""
    if function in _OF_PICKLING:
        return NotImplemented
    if by_reference(function):
        module = function.__module__ or _whichmodule(function, function.__qualname__)
        return wrappers.by_name(context, module, function.__qualname__)
    if wrappers.is_dispatcher(function):
        return wrappers.dispatcher_reduced(function)
    context.note_function(function)
    scope = function.__globals__
    new_globals = context.globals_ref.get(id(scope))
    if new_globals is None:
        new_globals = context.globals_ref[id(scope)] = _new_globals(scope)
    cells = function.__closure__
    closure = None if cells is None else tuple(_new_cell(context, cell) for cell in cells)
    name = function.__name__
    token = None
    if name == function.__qualname__ and function.__module__ in MAIN:
        token = rebuild.function_token(function, name)
    if token is None:
        made: Any = _make_function, (function.__code__, new_globals, None, None, closure)
    else:
        made = rebuild.make_function, (token, function.__code__, new_globals, closure)
    return *made, _state(context, function), None, None, rebuild.fill_function


def _new_cell(context: PicklingContext, cell: CellType) -> CellType:
    """Return the cell of a pickle that stands for a cell here: one, even if functions share it."""
    made: CellType | None = context.globals_ref.get(id(cell))
    if made is None:
        made = context.globals_ref[id(cell)] = _make_empty_cell()
    return made


class _ScopeOf:
    """Stands in a pickle for the namespace of a module that the program made."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __reduce__(self) -> Any:
        return vars, (self._module,)


def _new_globals(scope: dict[str, Any]) -> Any:
    if "__file__" not in scope and scope.get("__spec__") is None:
        module = sys.modules.get(scope.get("__name__", ""))
        if module is not None and is_dynamic(module) and vars(module) is scope:
            return _ScopeOf(module)
    return {name: scope[name] for name in _MODULE_NAMES if name in scope}


def _state(
    context: PicklingContext, function: FunctionType
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `rebuild.fill_function` takes: attributes, and what is set in ways of its own."""
    names = code_names(function.__code__)
    scope = function.__globals__
    variables = {name: scope[name] for name in names.variables if name in scope}
    attributes = names.attributes
    for name, value in variables.items():
        if type(value) is FunctionType and value.__name__ == _LAMBDA and value.__module__ in MAIN:
            rebuild.function_token(value, name)  # so that it is the same as an argument
    annotations = annotations_of(function)
    extras: dict[str, Any] = {}
    if names.texts and context.extras:
        extras = {name: scope[name] for name in names.texts if name in scope}
        if extras:
            context.has_extras = True
            variables |= extras
    if context.extras and (annotations or names.annotations):
        hinted = {*names.annotations, *annotation_names(annotations.values())}
        types = type_names(hinted, scope) if hinted else {}
        if types:
            context.has_extras = True
            extras |= types
            variables |= types
            attributes = attributes | hinted.union(
                *(_parsed(text)[1] for text in _texts(annotations.values()))
            )
    reachable = (*variables.values(), *_contents(function))
    modules: list[Any] = submodules(attributes, reachable)
    modules.extend(sys.modules[name] for name in names.imports if is_dynamic(sys.modules.get(name)))
    if context.for_jobs and context.extras:
        codecs = _codecs().of_program(type(context))
        if codecs:
            modules.append(_Registered(codecs))
            context.has_extras = True
    context.reached_modules.update(
        [value.__name__ for value in (*reachable, *modules) if type(value) is ModuleType]
    )
    state = {
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__annotations__": annotations,
        "__kwdefaults__": function.__kwdefaults__,
        "__defaults__": function.__defaults__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__closure__": function.__closure__,
        "_annotation_names": extras,
        "_source": lines_of(context, function, names.last_line),
        "_cloudpickle_submodules": modules,
        "__globals__": variables,
    }
    parameters = getattr(function, "__type_params__", ())
    if parameters:
        state["__type_params__"] = parameters
    return function.__dict__, state


def code_names(code: CodeType) -> CodeNames:
    """Return the names a code object uses.

    >>> code_names((lambda: [sys.path for _ in "ab"]).__code__).variables
    ('sys',)
    """
    names = _names.get(code)
    if names is None:
        names = _names[code] = _read(code)
    return names


def _read(code: CodeType) -> CodeNames:
    variables: dict[str, None] = {}
    imports: dict[str, None] = {}
    annotations: dict[str, None] = {}
    texts: set[str] = set()
    attributes = set(code.co_names)
    last = max((end for _, end, _, _ in code.co_positions() if end), default=code.co_firstlineno)
    operations = _GLOBAL if code.co_flags & CO_NEWLOCALS else _GLOBAL_IN_CLASS
    for step in dis.get_instructions(code):
        if step.opname in operations:
            variables[step.argval] = None
        elif step.opname == "IMPORT_NAME":
            imports[step.argval] = None
    if not attributes.isdisjoint(_GETTERS):
        for text in _constants(code.co_consts):
            attributes.update(text.split("."))
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    holds_annotations = inner or not code.co_flags & CO_NEWLOCALS or code.co_name == _ANNOTATE
    if code.co_flags & _FUTURE_ANNOTATIONS and holds_annotations:
        for text in _constants(code.co_consts):
            annotations.update(dict.fromkeys(_parsed(text)[0]))
    for each in inner:
        names = code_names(each)
        variables.update(dict.fromkeys(names.variables))
        imports.update(dict.fromkeys(names.imports))
        annotations.update(dict.fromkeys(names.annotations))
        attributes |= names.attributes
        texts |= names.texts
        last = max(last, names.last_line)
    if not attributes.isdisjoint(READERS):
        from picloud_pickle.names.texts import names_in_texts  # noqa: PLC0415 - few functions do so

        constants = [*_constants(code.co_consts)]
        found, mentioned = names_in_texts(variables, imports, attributes, constants)
        texts |= found - variables.keys()
        attributes |= mentioned
    return CodeNames(
        variables=(*variables,),
        attributes=frozenset(attributes),
        imports=(*imports,),
        annotations=(*annotations,),
        texts=frozenset(texts),
        last_line=last,
    )


def submodules(attributes: frozenset[str], values: Iterable[object]) -> list[ModuleType]:
    """Return the imported submodules that code can reach from the packages among some values.

    `import a.b` binds `a` alone: the job has to import `a.b` as well.

    Args:
        attributes: All names the code mentions.
        values: What it can reach by a name.
    """
    packages: dict[str, str] = {}
    for value in values:
        if isinstance(value, ModuleType):
            # A lazy module would begin to load if it were read in the usual way.
            lazy = type(value) is not ModuleType
            scope = object.__getattribute__(value, "__dict__") if lazy else value.__dict__
            if "__path__" in scope:
                packages[f"{scope['__name__']}."] = scope["__name__"].partition(".")[0]
    if not packages:
        return []
    tops = {*packages.values()}
    return [
        module
        for name, module in list(sys.modules.items())
        if module is not None
        and "." in name
        and name[: name.index(".")] in tops
        and any(
            name.startswith(package) and attributes.issuperset(name[len(package) :].split("."))
            for package in packages
        )
    ]


class _Registered:
    """Stands in a pickle for the codecs that the program has registered; None after a load."""

    def __init__(self, codecs: dict[Any, Any]) -> None:
        self._patches = [(_codecs(), name, value) for name, value in codecs.items()]

    def __reduce__(self) -> Any:
        return rebuild.patched, (None, self._patches)


@cache
def _codecs() -> CodecTable:
    from picloud_pickle.patches.codec_table import CODECS  # noqa: PLC0415 - not for `import cloud`

    return CODECS


def _contents(function: FunctionType) -> Iterator[object]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # an empty cell
            continue


def annotations_of(value: Any) -> dict[str, Any]:
    """Return the annotations of a function or class, as text where they cannot be evaluated."""
    try:
        annotations: dict[str, Any] = value.__annotations__
    except Exception:  # noqa: BLE001 -- from Python 3.14 on they are evaluated when they are read
        from annotationlib import (  # type: ignore[import-not-found]  # noqa: PLC0415
            Format,
            get_annotations,
        )

        annotations = get_annotations(value, format=Format.STRING)
    return annotations


def annotation_names(annotations: Iterable[object]) -> set[str]:
    """Return the names that annotations written as text use."""
    return {name for text in _texts(annotations) for name in _parsed(text)[0]}


def type_names(names: Iterable[str], scope: dict[str, Any]) -> dict[str, Any]:
    """Those of the names in a namespace that stand for types, or are used to make one."""
    return {name: scope[name] for name in names if name in scope and _is_of_types(scope[name])}


def _texts(annotations: Iterable[object]) -> Iterator[str]:
    for annotation in annotations:
        if isinstance(annotation, str):
            yield annotation
        elif isinstance(annotation, ForwardRef):
            yield annotation.__forward_arg__
        elif not isinstance(annotation, type) or isinstance(annotation, GenericAlias):
            arguments = getattr(annotation, "__args__", None)
            if isinstance(arguments, tuple):
                yield from _texts(arguments)


def _constants(constants: Iterable[object]) -> Iterator[str]:
    for const in constants:
        if isinstance(const, str):
            yield const
        elif isinstance(const, tuple):
            yield from _constants(const)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names a text uses if it is an annotation, and all that it mentions."""
    if len(text) > _LONGEST_ANNOTATION:
        return (), ()
    try:
        code = compile(text, "", "eval", dont_inherit=True)
    except (SyntaxError, ValueError):
        return (), ()
    names = [step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_NAME"]
    mentioned = [*code.co_names]
    for inner in code.co_consts:  # in quotes of its own
        if isinstance(inner, str) and inner != text:
            more = _parsed(inner)
            names += more[0]
            mentioned += more[1]
    return (*names,), (*mentioned,)


def _is_of_types(value: object) -> bool:
    return (
        isinstance(
            value,
            (
                *(type, ModuleType, FunctionType, BuiltinFunctionType),
                *(GenericAlias, UnionType, *_SCALARS),
            ),
        )
        or type(value).__module__ in _TYPE_MODULES
    )
