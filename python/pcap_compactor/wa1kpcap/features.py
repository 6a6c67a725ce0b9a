"""Features of a flow: sequences and their statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .figures import BLOCKS, ENGINE, figures, shape
from .part import Part
from .statistics import Statistics

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Integers = numpy.typing.NDArray[numpy.int64]
    Floats = numpy.typing.NDArray[numpy.float64]

#: The sequences, in the order of columns.
SEQUENCES = "packet_lengths ip_lengths trans_lengths app_lengths timestamps iats payload_bytes tcp_flags tcp_window_sizes".split()
#: Figures of the flow as a whole.
WHOLE = "packet_count total_bytes up_down_pkt_ratio up_down_byte_ratio duration".split()


class FlowFeatures:
    """Sequences as NumPy arrays, views of the table that cannot be written to, and their statistics.

    Lengths are negative in packets down, that is, to the sender of the flow's first packet. Sequences that a flow has not are empty.
    """

    __slots__ = ("_part", "_row", "_statistics")

    def __init__(self, part: Part, row: int) -> None:
        self._part = part
        self._row = row
        self._statistics: Statistics | None = None

    def _sequence(self, name: str) -> Any:
        return self._part.sequence(f"feature.{name}", self._row)

    @property
    def packet_lengths(self) -> Integers:
        """Frame lengths on the wire, in bytes."""
        return self._sequence("packet_lengths")  # type: ignore[no-any-return]

    @property
    def ip_lengths(self) -> Integers:
        """Lengths from the IP header on, in bytes."""
        return self._sequence("ip_lengths")  # type: ignore[no-any-return]

    @property
    def trans_lengths(self) -> Integers:
        """Lengths of the header and payload of TCP or UDP, in bytes."""
        return self._sequence("trans_lengths")  # type: ignore[no-any-return]

    @property
    def app_lengths(self) -> Integers:
        """Lengths of the captured payload of TCP or UDP, in bytes."""
        return self._sequence("app_lengths")  # type: ignore[no-any-return]

    @property
    def timestamps(self) -> Floats:
        """Times since 1970, in seconds."""
        return self._sequence("timestamps")  # type: ignore[no-any-return]

    @property
    def iats(self) -> Floats:
        """Times to the packet before, in seconds: one fewer than packets."""
        return self._sequence("iats")  # type: ignore[no-any-return]

    @property
    def payload_bytes(self) -> Integers:
        """The same as ``app_lengths``."""
        return self._sequence("payload_bytes")  # type: ignore[no-any-return]

    @property
    def tcp_flags(self) -> Integers:
        """Flags of TCP packets, FIN 1 to CWR 128."""
        return self._sequence("tcp_flags")  # type: ignore[no-any-return]

    @property
    def tcp_window_sizes(self) -> Integers:
        """Window fields of TCP packets, not scaled."""
        return self._sequence("tcp_window_sizes")  # type: ignore[no-any-return]

    def sequences(self) -> dict[str, numpy.typing.NDArray[Any]]:
        """All of them by name."""
        return {name: self._sequence(name) for name in SEQUENCES}

    @property
    def statistics(self) -> Statistics:
        """Statistics of each sequence that has values, a dictionary each that cannot be written to, and ``packet_count``, ``total_bytes``, ``duration`` (s),
        ``up_down_pkt_ratio`` and ``up_down_byte_ratio``; see :mod:`pcap_compactor.wa1kpcap.figures` for the formulas."""
        if self._statistics is None:
            blocks = {block: self._block(block) for block in BLOCKS}
            whole = {name: self._part.cell(f"feature.{name}", self._row) for name in WHOLE}
            self._statistics = Statistics({block: Statistics(found) for block, found in blocks.items() if found is not None} | whole)
        return self._statistics

    def _block(self, block: str) -> dict[str, float] | None:
        values = self._sequence(BLOCKS[block])
        if len(values) == 0:
            return None
        if f"feature.{block}.mean" in self._part.names:
            found = {name: self._part.cell(f"feature.{block}.{name}", self._row) for name in ENGINE}
        else:
            found = figures(values)
        return found | shape(values)

    def compute_statistics(self) -> Statistics:
        """:attr:`statistics`, by the original's name."""
        return self.statistics

    def to_dict(self) -> dict[str, Any]:
        """Sequences as lists, and ``statistics``, all of which may be written to."""
        statistics = {name: dict(value) if isinstance(value, dict) else value for name, value in self.statistics.items()}
        return {**{name: values.tolist() for name, values in self.sequences().items()}, "statistics": statistics}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}[{len(values)}]" for name, values in self.sequences().items() if len(values))
        return f"<FlowFeatures: {sizes}>"
