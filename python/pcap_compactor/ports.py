"""Where an hour's captures come from, and where its records go: what you may write yourself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, runtime_checkable

from .records import GroupRecord, ScanSummary, SegmentHandle


@runtime_checkable
class SegmentSourcePort(Protocol):
    """Says which capture files hold a range of time."""

    def fetch(self, hour_start: int, hour_end: int) -> Iterable[SegmentHandle]:
        """The files that may hold packets from ``hour_start`` up to ``hour_end``, seconds since 1970.

        Files that are still being written must not be among them. Packets outside the range are left out by the engine.
        """
        ...


@runtime_checkable
class EventSinkPort(Protocol):
    """Takes the records of an hour. What a method raises stops the run and reaches the caller of ``run_hour``."""

    def on_group(self, record: GroupRecord) -> None:
        """A group: those of a window come in the order of their keys."""
        ...

    def on_scan(self, summary: ScanSummary) -> None:
        """A scan summary: those of a window come behind its groups."""
        ...

    def on_metrics(self, metrics: dict[str, Any]) -> None:
        """What the run counted; called once, last. The original's names are integers, ``ledger`` and what follows it are more."""
        ...


def taken(method: Callable[[Any], object], record: Any) -> None:
    """Calls a method of a sink; the engine calls it. What that gives back is its own, but nobody would wait for it."""
    back = method(record)
    if back is not None and hasattr(back, "__await__"):
        name = getattr(method, "__name__", "method")
        raise TypeError(f"the sink's {name} gave back {type(back).__name__}, which nobody would wait for; make it a plain method")
