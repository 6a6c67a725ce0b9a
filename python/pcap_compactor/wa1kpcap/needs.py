"""Libraries that are imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any


def need(module: str, what: str) -> Any:
    """A module; without it the error says what needs it, and how to have it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{what} needs {package}: pip install {package}", name=module) from error
