"""Settings that a script changes: `cloud.config`."""

from __future__ import annotations

import traceback
import warnings
from typing import Any

import pytest
from cloud import CloudException
from cloud._config.configuration import Config


def test_config_has_the_original_defaults() -> None:
    """1 MB of arguments, three retries, no simulator."""
    config = Config()

    assert config.max_transmit_data == 1_000_000
    assert config.retry_attempts == 3
    assert config.use_simulator is False


def test_two_names_of_one_setting() -> None:
    """The documents name max_transmit_data also max_transmit_size."""
    config = Config()

    config.max_transmit_size = 2_000_000

    assert config.max_transmit_data == config.max_transmit_size == 2_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_transmit_data", 0),
        ("max_transmit_data", 16_000_001),
        ("max_transmit_data", "1"),
        ("max_transmit_data", True),
        ("retry_attempts", -1),
        ("retry_attempts", 1.5),
        ("network_timeout", 0),
        ("use_simulator", 1),
    ],
)
def test_a_setting_is_checked_where_it_is_set(name: str, value: Any) -> None:
    """A wrong value is refused by name, and the old one stays."""
    config = Config()
    before = getattr(config, name)

    with pytest.raises(CloudException, match=f"cloud.config.{name}"):
        setattr(config, name, value)

    assert getattr(config, name) == before


def test_settings_are_listed_without_a_secret() -> None:
    """As `cloud.config` in an interactive session shows them."""
    config = Config()
    config.api_secretkey = "s3cret"
    lines = repr(config).splitlines()

    assert "cloud.config.progress = True" in lines
    assert "cloud.config.api_secretkey = '...'" in lines


def test_a_misspelt_setting_is_answered_with_the_nearest() -> None:
    """Setting what does not exist would be a silent mistake."""
    with pytest.raises(CloudException, match="did you mean max_transmit_data"):
        Config().max_transmit_dat = 1

    with pytest.raises(AttributeError):
        _ = Config().nothing


ORIGINAL = """
running_on_cloud use_simulator log_filename save_log log_level print_log_level purge_days verbose
use_gzip http_close proxy_server force_serialize_debugging force_serialize_logging
force_redirect_job_output num_procs io_buffer_factor redirect_job_output mp_cache_size_limit
support_join serialize_debugging serialize_logging max_transmit_data aggressive_module_search
automatic_dependency_transfer api_key api_secretkey server_list_url cloud_status_cache_size
cloud_result_cache_size retry_attempts url hostname parent_jid ap_version serialize_logging_path
show_primitives printing_min_size show_transmitted_types_composition
"""


@pytest.mark.parametrize("name", ORIGINAL.split())
@pytest.mark.filterwarnings("ignore:cloud.config")
def test_each_setting_of_the_original_is_accepted_and_kept(name: str) -> None:
    """A script that sets one reads back what it set."""
    config = Config()
    before = getattr(config, name)
    value = {"max_transmit_data": 2_000_000, "url": "http://x", "api_key": 7}.get(name, before)

    setattr(config, name, value)

    assert getattr(config, name) == value


def test_a_setting_without_effect_says_so_once() -> None:
    """The first one warns; a script that sets ten of them is not buried in warnings."""
    config = Config()

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        config.verbose = True
        config.use_gzip = False
        config.purge_days = 3

    [only] = warned
    assert "verbose is accepted but has no effect" in str(only.message)
    assert (config.verbose, config.use_gzip, config.purge_days) == (True, False, 3)


def test_a_committed_key_is_used() -> None:
    """`api_key`, `api_secretkey` and `url` are `setkey`'s, from `commit` on."""
    config = Config()
    chosen: list[tuple[str | None, str | None]] = []
    config.on_commit(lambda url, key: chosen.append((url, key)))

    config.commit()
    config.api_key, config.api_secretkey, config.url = "0a", "secret", "http://x"
    assert chosen == []
    config.commit()

    assert chosen == [("http://x", "pk_0a_secret")]


def test_a_secret_without_a_key_is_refused() -> None:
    """Half a credential is a mistake."""
    config = Config()
    config.api_secretkey = "secret"

    with pytest.raises(CloudException, match="api_key is not set"):
        config.commit()


def _last_file(error: BaseException) -> str:
    return traceback.extract_tb(error.__traceback__)[-1].filename


def test_tracebacks_end_where_a_setting_is_set_or_read() -> None:
    """Lines of ours do not help with a wrong value; `full_tracebacks` shows them."""
    config = Config()
    with pytest.raises(CloudException) as wrong:
        config.max_transmit_data = 0
    with pytest.raises(AttributeError) as missing:
        config.missing  # noqa: B018 - reading it is the test
    config.full_tracebacks = True
    with pytest.raises(CloudException) as whole:
        config.max_transmit_data = 0

    assert _last_file(wrong.value) == _last_file(missing.value) == __file__
    assert _last_file(whole.value) != __file__
