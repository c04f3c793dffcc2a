"""Stands in for torchaudio, which the host imports by name only; see launch_host.py."""
