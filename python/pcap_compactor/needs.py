"""Libraries that are imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingLibraryError


def need(module: str, what: str, extra: str = "wa1kpcap") -> Any:
    """A module that ``what`` needs, and an extra of this package brings along.

    Raises:
        MissingLibraryError: It is not installed. One that is there and cannot be imported has an error of its own, which is raised as it is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingLibraryError(
            f"{what} needs {library}, which is not installed: pip install 'pcap-compactor[{extra}]'", name=error.name
        ) from error
