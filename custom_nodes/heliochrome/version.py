"""The one place that knows our version and name."""

__version__ = "0.1.0"
SOFTWARE = f"Heliochrome {__version__}"
