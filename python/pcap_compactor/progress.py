"""How far a run is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

from .errors import OptionError

Report: TypeAlias = Callable[[int, int, int, bool], object]
"""Told some ten times a second: bytes read, bytes of all inputs (0 if not known), packets read, and whether that is the end.

What it raises ends the run and is raised there; :data:`sys.unraisablehook` is told where a run of another thread has ended before.
"""


class Line:
    """One line on standard error that is written over: in terminals, and below cells of notebooks."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._width = 0

    def __call__(self, read: int, total: int, packets: int, end: bool) -> None:
        seconds = max(time.monotonic() - self._began, 1e-9)
        share = f"{min(read / total, 1):4.0%} " if total else ""
        left = f", {(total - read) / read * seconds:.0f} s left" if 0 < read < total and not end else ""
        text = f"{share}{packets:,} packets, {read / 1e6:,.0f} MB, {packets / seconds:,.0f} packets/s{left}"
        sys.stderr.write("\r" + text.ljust(self._width) + ("\n" if end else ""))
        sys.stderr.flush()
        self._width = len(text)


def reporter(progress: bool | Report | None) -> Report | None:
    """What is to be told of progress: with ``True`` a line where somebody can see it, or a function of the caller's."""
    if progress is None or progress is False:
        return None
    if progress is True:
        return Line() if _is_seen() else None
    if not callable(progress):
        raise OptionError(f"progress = {progress!r}: True, False, or a function")

    def report(read: int, total: int, packets: int, end: bool) -> None:
        # What it gives back ends here, and not in the engine.
        progress(read, total, packets, end)

    return report


def _is_seen() -> bool:
    """Whether standard error is a terminal, or belongs to a notebook."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
