"""Options of call and map."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudException
from cloud._arguments.options import CallOptions, split_options
from picloud_model.core import CORE_TYPES, CoreType
from picloud_model.wire import Options

NAMES = [
    "_type", "_cores", "_env", "_vol", "_secrets", "_label", "_priority", "_restartable",
    "_depends_on", "_depends_on_errors", "_max_runtime", "_profile", "_kill_process",
    "_os_env_vars", "_callback", "_callback_on_error", "_fast_serialization", "_seed", "_cwd",
    "_ports", "_on_done", "_high_cpu",
]  # fmt: skip


def chosen(**keywords: Any) -> CallOptions:
    """What some options say."""
    return split_options(keywords)[0]


def test_without_options_there_are_the_original_defaults() -> None:
    """One c1 core, priority 5, restartable, nothing to wait for, nothing to call back."""
    options, kwargs = split_options({"x": 1})

    assert options.options == Options(
        core_type="c1", cores=1, label=None, priority=5, restartable=True, profile=False, env=None,
        vols=[], secrets=[], max_runtime_s=None, kill_process=False, os_env_vars={},
        fast_serialization=0, seed=None, cwd=None, ports={},
    )  # fmt: skip
    assert (options.depends_on, options.depends_on_errors) == ((), "abort")
    assert (options.callback, options.callback_on_error) == ((), ())
    assert kwargs == {"x": 1}


@pytest.mark.filterwarnings("ignore:_high_cpu is deprecated")
@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("_type", "c1"), ("_cores", 1), ("_env", None), ("_vol", []), ("_secrets", []),
        ("_label", None), ("_priority", 5), ("_restartable", True), ("_depends_on", []),
        ("_depends_on_errors", "abort"), ("_max_runtime", None), ("_profile", False),
        ("_kill_process", False), ("_os_env_vars", []), ("_callback", None),
        ("_callback_on_error", None), ("_fast_serialization", 0), ("_seed", None),
        ("_cwd", None), ("_ports", {}), ("_on_done", None), ("_high_cpu", False),
    ],
)  # fmt: skip
def test_a_default_said_is_the_default(name: str, default: Any) -> None:
    """Passing the original client's default says nothing."""
    assert chosen(**{name: default}) == CallOptions()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("_cors", "_cores"),
        ("_typ", "_type"),
        ("_lable", "_label"),
        ("_restart", "_restartable"),
        ("_depend_on", "_depends_on"),
        ("_max_run_time", "_max_runtime"),
        ("_os_env", "_os_env_vars"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(name: str, near: str) -> None:
    """The message says which option was probably meant."""
    with pytest.raises(CloudException, match=rf"no option {name}; did you mean {near}\?"):
        split_options({name: 1})


def test_an_unknown_option_is_answered_with_all() -> None:
    """Where nothing is near, the options are listed."""
    with pytest.raises(CloudException, match=", ".join(NAMES)):
        split_options({"_zzzzzzzz": 1})


WRONG: dict[str, list[Any]] = {
    "_type": ["c9", None, ["c1"]],
    "_cores": ["2", True, 0, 2, 1.0, None],
    "_env": ["", 7, ["base"]],
    "_vol": [7, None, [7], [""], {"a": 1}, b"v"],
    "_label": [7, "é", "x" * 201],
    "_priority": [-1, 1001, 1.5, True, "5", None],
    "_restartable": [0, None, "no"],
    "_depends_on": [0, -1, "7", [1, "2"], 1.5, True, {"a": 1}],
    "_depends_on_errors": ["stop", None, True, ["abort"]],
    "_max_runtime": [0, -1, "1", True, float("nan"), float("inf"), 60 * 24 * 367, [1]],
    "_profile": [1, None],
    "_kill_process": [1, None],
    "_ports": [
        8000, None, [8000], {8000: True}, {8000: "open"}, {8000: ["public"]}, {0: "public"},
        {"8000": "public"}, {70_000: "public"}, dict.fromkeys(range(1, 66), "public"),
    ],
    "_os_env_vars": [
        7, None, [7], {7: "x"}, {"A": 7}, {"A=B": "x"}, {"": "x"}, {"A": "\0"},
        {"PICLOUD_JID": "1"}, {"A": "x" * 40_000}, ["PICLOUD_TEST_NOT_SET"],
    ],
    "_callback": [7, [7], "print", [print, None]],
    "_callback_on_error": [7, [7], "print"],
    "_fast_serialization": [3, -1, True, "0", None, 1.0],
    "_seed": [-1, 2**63, True, 1.0, "7", [7]],
    "_cwd": [7, "", True, ["."], "x" * 5000],
    "_on_done": [7, b"https://example.org", ["https://example.org"], "x" * 2001],
    "_high_cpu": [1, None, "yes"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wrong"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_values_an_option_cannot_have_are_refused(name: str, wrong: Any) -> None:
    """One sentence, which names the option."""
    with pytest.raises(CloudException, match=name) as refused:
        split_options({name: wrong})

    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("_type", "c1, c2, f2, m1, s1"),
        ("_depends_on_errors", "'abort' or 'ignore'"),
        ("_fast_serialization", r"0 \(enhanced\), 1 \(.*\), 2 \(plain pickle\)"),
        ("_restartable", "True or False"),
    ],
)
def test_a_closed_list_is_named(name: str, closed: str) -> None:
    """Where few values are possible, the message names them all."""
    with pytest.raises(CloudException, match=closed):
        split_options({name: "x"})


@pytest.mark.parametrize("core", CORE_TYPES.values(), ids=lambda core: core.name)
def test_every_core_type_takes_its_multiples(core: CoreType) -> None:
    """The Primer's table of supported multiples holds, and a wrong number names the right ones."""
    for cores in core.multiples:
        assert chosen(_type=core.name, _cores=cores).options.cores == cores
    with pytest.raises(CloudException, match=", ".join(map(str, core.multiples))):
        split_options({"_type": core.name, "_cores": 15})


@pytest.mark.parametrize(
    ("jids", "ranges"),
    [
        (7, ((7, 7),)),
        ([3, 1, 2], ((1, 3),)),
        (range(5, 9), ((5, 8),)),
        ((9, 9, 4), ((4, 4), (9, 9))),
        ((jid for jid in (2, 3)), ((2, 3),)),
        ([], ()),
        (None, ()),
    ],
)
def test_dependencies_are_a_jid_or_a_sequence(jids: Any, ranges: Any) -> None:
    """The promise: "depends on accepts both an individual jid or a sequence of jids [...]." """
    assert chosen(_depends_on=jids).depends_on == ranges


def test_max_runtime_is_in_minutes() -> None:
    """The promise: "You can specify a maximum runtime in minutes [...]"; parts of one too."""
    assert chosen(_max_runtime=1).options.max_runtime_s == 60
    assert chosen(_max_runtime=0.5).options.max_runtime_s == 30


def test_variables_are_taken_from_here_or_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names stand for what is set where `call` is called; a dict says the values."""
    monkeypatch.setenv("GREETING", "hello")

    assert chosen(_os_env_vars=["GREETING"]).options.os_env_vars == {"GREETING": "hello"}
    assert chosen(_os_env_vars="GREETING").options.os_env_vars == {"GREETING": "hello"}
    assert chosen(_os_env_vars={"A": "1"}).options.os_env_vars == {"A": "1"}


def test_a_volume_or_several() -> None:
    """One name or a list of names."""
    assert chosen(_vol="data").options.vols == ["data"]
    assert chosen(_vol=["a", "b"]).options.vols == ["a", "b"]


def test_one_callback_or_several() -> None:
    """A function or a list of functions."""
    assert chosen(_callback=print).callback == (print,)
    assert chosen(_callback_on_error=[print, repr]).callback_on_error == (print, repr)


def test_high_cpu_is_deprecated_and_means_c2() -> None:
    """Scripts from before there were core types still run, with a warning."""
    with pytest.warns(DeprecationWarning, match="say _type='c2' instead"):
        assert chosen(_high_cpu=True).options.core_type == "c2"
    with pytest.warns(DeprecationWarning, match="_high_cpu"):
        assert chosen(_high_cpu=False).options.core_type == "c1"
    with (
        pytest.warns(DeprecationWarning, match="_high_cpu"),
        pytest.raises(CloudException, match="leave _high_cpu out"),
    ):
        split_options({"_high_cpu": True, "_type": "f2"})


def test_an_old_base_is_passed_on_with_a_warning() -> None:
    """Scripts of 2012 still run, on the base that the server has."""
    with pytest.warns(UserWarning, match="base/precise no longer exists: jobs run on the base"):
        assert chosen(_env="base/precise").options.env == "base/precise"
