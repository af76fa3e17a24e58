"""The error for requests that cannot be used."""

from __future__ import annotations


class RequestError(Exception):
    """A browser sent unusable data. The page shows the message to its user."""
