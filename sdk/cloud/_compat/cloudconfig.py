"""`cloud.cloudconfig`: the original client's settings file, of which only the call remains."""

from cloud._config.configuration import config

__all__ = ["config", "flush_config"]


def flush_config() -> None:
    """Apply the settings made so far; see `cloud.config.commit`. No file is written."""
    config.commit()
