"""The version, without reading package metadata at start-up."""

__version__ = "0.1.0"
