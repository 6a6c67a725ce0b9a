"""The capture files of sensors, in folders by UTC hour."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from . import _core
from .records import SegmentHandle


class FilesystemSegmentSource:
    """Finds ``root/<sensor>/YYYY/MM/DD/HH/<file>``, of all sensors or of those that are named.

    A rotation may write its last packets after the hour has turned, so the folders of all hours in the range are looked into, and of the
    hour before. What is no capture, is still being written, or is hidden is left out, and a file that is there twice is yielded once.
    """

    def __init__(self, root: str | os.PathLike[str], sensors: Sequence[str] | str | None = None) -> None:
        self.root = Path(root)
        if isinstance(sensors, str):
            sensors = [sensors]
        self.sensors = None if sensors is None else list(dict.fromkeys(sensors))

    def fetch(self, hour_start: int, hour_end: int) -> Iterator[SegmentHandle]:
        """The files that may hold packets of the range.

        Raises:
            InputError: The root, or the folder of a sensor that is named, is not there.
        """
        if self.sensors == []:
            return
        for sensor, place in _core.segments(self.root, self.sensors or [], hour_start, hour_end):
            path = os.fspath(place)
            yield SegmentHandle(
                id=os.path.relpath(path, self.root),
                sensor=sensor,
                start_ts=float(hour_start),
                end_ts=float(hour_end),
                path=path,
                compressor=_compressor(path),
            )

    def __repr__(self) -> str:
        return f"FilesystemSegmentSource(root={str(self.root)!r}, sensors={self.sensors!r})"


def _compressor(path: str) -> Literal["none", "gzip", "zstd"]:
    name = path.lower()
    return "gzip" if name.endswith(".gz") else "zstd" if name.endswith(".zst") else "none"
