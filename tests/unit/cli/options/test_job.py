"""The options of commands that create jobs."""

from __future__ import annotations

from cloud._arguments.options import CallOptions
from picloud.options.job import JobOptions
from picloud_model.wire import Options


def test_every_option_reaches_the_jobs() -> None:
    """By the names of the wire; options that are not given have its defaults."""
    options = JobOptions(
        type="m1",
        cores=2,
        env="mine",
        vol=["a", "b"],
        label="x",
        priority=0,
        depends_on="7,9-10",
        depends_on_errors="ignore",
        max_runtime=1.5,
        not_restartable=True,
        os_env=["A=b", "C="],
        port=["8000:public", "8001:private"],
        profile=True,
        kill_process=True,
        seed=3,
    )

    assert options.call_options() == CallOptions(
        options=Options(
            core_type="m1",
            cores=2,
            env="mine",
            vols=["a", "b"],
            label="x",
            priority=0,
            max_runtime_s=90.0,
            restartable=False,
            os_env_vars={"A": "b", "C": ""},
            ports={8000: "public", 8001: "private"},
            profile=True,
            kill_process=True,
            seed=3,
        ),
        depends_on=((7, 7), (9, 10)),
        depends_on_errors="ignore",
    )
    assert JobOptions().call_options() == CallOptions()
