"""The original's entry: an hour is a function call."""

from __future__ import annotations

import inspect
import operator
import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from . import _core
from .config import PipelineConfig, to_json
from .errors import DamageWarning, OptionError
from .ports import EventSinkPort, SegmentSourcePort
from .progress import Report, reporter
from .scalars import plain


def run_hour(
    *,
    source: SegmentSourcePort,
    sink: EventSinkPort,
    cfg: PipelineConfig | None = None,
    hour_start: int,
    hour_end: int,
    threads: int | None = None,
    progress: bool | Report | None = None,
) -> None:
    """Reads the captures of ``[hour_start, hour_end)``, seconds since 1970, as one window, and hands its records to ``sink``.

    The window is exactly that range, whatever its length: ``0`` to ``2147483647`` is all of a capture. Groups come first, then scan
    summaries, the metrics last. The engine works in threads of its own without the interpreter's lock; the sink's methods are called in
    this one. Ctrl-C stops the run.

    Args:
        source: Whose ``fetch`` names the files. One that cannot be read is warned of (:class:`DamageWarning`), counted in the metrics
            (``segments_seen`` against ``segments_valid``), and the others are read.
        sink: What takes the records. What its methods raise stops the run and is raised here, with its own traceback.
        cfg: The settings; the defaults if there are none.
        hour_start: First second of the window.
        hour_end: First second behind it.
        threads: Threads of the engine, 1 to 1024; by default as many as there are cores.
        progress: ``True`` for a line on standard error, or a function that is told; see :data:`Report`.

    Raises:
        TypeError: The source yields something that is no segment, or the sink lacks a method.
        OptionError: The range is empty, or not of whole seconds; ``cfg`` or ``threads`` is not taken.
        Error: The engine stopped early; ``metrics`` has what it had counted.
    """
    for method in ("on_group", "on_scan", "on_metrics"):
        if not callable(getattr(sink, method, None)):
            raise TypeError(f"sink has no method {method}: a sink has on_group, on_scan and on_metrics, see EventSinkPort")
        if inspect.iscoroutinefunction(getattr(sink, method)):
            raise TypeError(f"the sink's {method} is a coroutine, which nobody would wait for; make it a plain method")
    if not callable(getattr(source, "fetch", None)):
        raise TypeError("source has no method fetch, see SegmentSourcePort")
    start, end = _seconds("hour_start", hour_start), _seconds("hour_end", hour_end)
    if cfg is not None and not isinstance(cfg, (PipelineConfig, Mapping)):
        raise OptionError(f"cfg = {cfg!r}: a PipelineConfig, or a dictionary of its fields")
    config = to_json(PipelineConfig() if cfg is None else cfg)
    paths = _paths(source.fetch(start, end))
    _core.run_hour(paths, sink, config, start, end, {"threads": plain(threads)}, reporter(progress))


def _seconds(name: str, time: Any) -> int:
    """A time of whole seconds."""
    try:
        seconds = operator.index(time)
    except TypeError:
        seconds = None
    if seconds is None or isinstance(time, bool) or not -(2**63) <= seconds < 2**63:
        raise OptionError(f"{name} = {time!r}: whole seconds since 1970, as 1697716800")
    return seconds


def _paths(segments: Iterable[Any]) -> list[str]:
    """The files of segments, each once."""
    paths: list[str] = []
    seen: set[tuple[int, int] | str] = set()
    for segment in segments:
        path = getattr(segment, "path", None)
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise TypeError(f"the source yields {segment!r}, which is no SegmentHandle: it has no path")
        name = os.fsdecode(path)
        try:
            about = os.stat(name)
            identity: tuple[int, int] | str = (about.st_dev, about.st_ino)
        except (OSError, ValueError):
            # The engine tells of it: there is none, or none can have such a name.
            identity = name
        if identity in seen:
            warnings.warn(DamageWarning(f"{name}: is yielded twice and read once", name), stacklevel=3)
        else:
            seen.add(identity)
            paths.append(name)
    return paths
