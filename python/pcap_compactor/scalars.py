"""Values of NumPy where Python's are meant."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """A scalar of NumPy as the number or truth value that it is; all else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value
