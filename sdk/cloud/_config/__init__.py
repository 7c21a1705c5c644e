"""Configuration: settings, profiles and the configuration file."""
