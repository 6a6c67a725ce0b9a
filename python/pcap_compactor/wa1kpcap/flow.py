"""A flow: a row of a table, read when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from . import payload
from .elsewhere import Elsewhere
from .features import FlowFeatures
from .packet import NotKept, ParsedPacket, packets
from .part import Part
from .registry import Processor, checked, computed
from .statistics import Statistics

if TYPE_CHECKING:
    import numpy.typing

#: Numbers of the protocols that have names; others are ``PROTO(number)``.
_NUMBERS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58}
_NAMES = {number: name for name, number in _NUMBERS.items()}

#: Columns of a flow without its features: those that are always there, and those of payload.
BASE = (
    "key protocol src_ip dst_ip src_port dst_port start_time end_time duration packet_count byte_count"
    " up_packet_count up_byte_count down_packet_count down_byte_count ext_protocol"
).split()
SPOKEN = ["tls", "http", "dns"]


@dataclass(frozen=True, slots=True)
class FlowKey:
    """Who talks to whom: the source sent the first packet."""

    src_ip: str
    dst_ip: str
    #: 0 where there are no ports.
    src_port: int
    dst_port: int
    #: The number of the protocol above IP: 6 is TCP, 17 UDP.
    protocol: int
    #: That of the first packet, its last tag in front of the IP header; 0 without. Tags keep no flows apart.
    vlan_id: int = 0

    @property
    def protocol_name(self) -> str:
        """``TCP``, ``UDP``, ``ICMP``, ``ICMPv6`` or ``PROTO(number)``."""
        return _NAMES.get(self.protocol, f"PROTO({self.protocol})")

    def direction(self, ip: str, port: int) -> int:
        """1 for what this end sends if it is the source, else -1."""
        return 1 if (ip, port) == (self.src_ip, self.src_port) else -1

    def reverse(self) -> FlowKey:
        """The key with its ends exchanged."""
        return FlowKey(self.dst_ip, self.src_ip, self.dst_port, self.src_port, self.protocol, self.vlan_id)

    def __str__(self) -> str:
        return f"{self.src_ip}:{self.src_port} -> {self.dst_ip}:{self.dst_port} ({self.protocol_name})"


@dataclass(frozen=True, slots=True)
class FlowMetrics:
    """Counts of packets and bytes (of frames on the wire); up is what the source sent."""

    packet_count: int
    byte_count: int
    up_packet_count: int
    up_byte_count: int
    down_packet_count: int
    down_byte_count: int
    #: Packets with these flags of TCP.
    syn_count: int
    fin_count: int
    rst_count: int
    ack_count: int
    psh_count: int
    urg_count: int
    #: Segments of the flow whose bytes had all been seen before, which are 0 with ``filter_retrans``: then they are counted in the analyzer's
    #: ``packets_filtered``. And segments that filled a hole.
    retrans_count: int
    out_of_order_count: int
    #: Window fields of TCP, not scaled; 0 without any.
    min_window: int
    max_window: int
    sum_window: int


_T = TypeVar("_T")


class _Cell(Generic[_T]):
    """A cell of the row, as an attribute."""

    def __init__(self, column: str, about: str) -> None:
        self._column = column
        self.__doc__ = about

    @overload
    def __get__(self, flow: None, owner: type) -> Self: ...
    @overload
    def __get__(self, flow: Flow, owner: type) -> _T: ...
    def __get__(self, flow: Flow | None, owner: type) -> _T | Self:
        return self if flow is None else flow._part.cell(self._column, flow._row)


class _Figure:
    """A statistic of a sequence, as an attribute: 0 where the sequence is empty."""

    def __init__(self, block: str, name: str) -> None:
        self._of = block, name
        self._column = f"feature.{block}.{name}"
        self.__doc__ = f"``stats[{block!r}][{name!r}]``; 0 where the sequence is empty."

    @overload
    def __get__(self, flow: None, owner: type) -> Self: ...
    @overload
    def __get__(self, flow: Flow, owner: type) -> float: ...
    def __get__(self, flow: Flow | None, owner: type) -> float | Self:
        if flow is None:
            return self
        part = flow._part
        if self._column in part.names:
            return part.cell(self._column, flow._row) or 0.0
        block, name = self._of
        found: float = flow.stats.get(block, {}).get(name, 0.0)
        return found


class _Sequence:
    """A sequence, as an attribute."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.__doc__ = f"``features.{name}``."

    @overload
    def __get__(self, flow: None, owner: type) -> Self: ...
    @overload
    def __get__(self, flow: Flow, owner: type) -> numpy.typing.NDArray[Any]: ...
    def __get__(self, flow: Flow | None, owner: type) -> numpy.typing.NDArray[Any] | Self:
        return self if flow is None else flow._part.sequence(f"feature.{self._name}", flow._row)

#: Where states of TCP are asked for.
_ENDS = "a column `end_reason` of flows_table(...) says why a flow ended; Wa1kPcap(split_connections=True) ends it with its connection"


class Flow:
    """A flow of packets between two ends. The source sent the first packet, and what it sends is up."""

    __slots__ = ("_part", "_row", "__dict__", "__weakref__")

    def __init__(self, part: Part, row: int) -> None:
        self._part = part
        self._row = row

    src_ip: _Cell[str] = _Cell("src_ip", "The address of the source.")
    dst_ip: _Cell[str] = _Cell("dst_ip", "The other address.")
    sport: _Cell[int] = _Cell("src_port", "The port of the source; 0 without.")
    dport: _Cell[int] = _Cell("dst_port", "The other port; 0 without.")
    src_port: _Cell[int] = _Cell("src_port", "The port of the source; 0 without.")
    dst_port: _Cell[int] = _Cell("dst_port", "The other port; 0 without.")
    proto: _Cell[str] = _Cell("protocol", "The name of the protocol above IP.")
    start_time: _Cell[float] = _Cell("start_time", "The time of the first packet, in seconds since 1970.")
    end_time: _Cell[float] = _Cell("end_time", "The latest time, in seconds since 1970.")
    duration: _Cell[float] = _Cell("duration", "``end_time - start_time``, in seconds.")
    packet_count: _Cell[int] = _Cell("packet_count", "Packets.")
    num_packets: _Cell[int] = _Cell("packet_count", "Packets.")
    byte_count: _Cell[int] = _Cell("byte_count", "Bytes of frames on the wire.")
    ext_protocol: _Cell[list[str]] = _Cell("ext_protocol", "Protocols from IP on, as ``['IPv4', 'TCP', 'TLS', 'HTTPS']``.")

    @property
    def protocol(self) -> int:
        """The number of the protocol above IP."""
        name: str = self._part.cell("protocol", self._row)
        # PROTO(132).
        return _NUMBERS.get(name) or int(name[6:-1])

    @property
    def key(self) -> FlowKey:
        """Who talks to whom."""
        vlan: int | None = self._part.cell("vlan", self._row)
        return FlowKey(self.src_ip, self.dst_ip, self.sport, self.dport, self.protocol, vlan or 0)

    @cached_property
    def metrics(self) -> FlowMetrics:
        """Counts of packets and bytes."""
        cell = self._part.cell
        counts = [cell(name, self._row) for name in BASE[9:15]]
        flags, windows = self.tcp_flags, self.tcp_window_sizes
        bits = [int((flags & bit != 0).sum()) for bit in (2, 1, 4, 16, 8, 32)]
        classes = [sum(cell(f"{name}_{side}", self._row) or 0 for side in ("up", "dn")) for name in ("retransmitted", "out_of_order")]
        of_windows = [int(windows.min()), int(windows.max()), int(windows.sum())] if len(windows) else [0, 0, 0]
        return FlowMetrics(*counts, *bits, *classes, *of_windows)

    @cached_property
    def features(self) -> FlowFeatures:
        """Sequences and their statistics."""
        return FlowFeatures(self._part, self._row)

    @property
    def stats(self) -> Statistics:
        """Statistics of each sequence, and figures of the flow, which cannot be written to; see :attr:`FlowFeatures.statistics`."""
        return self.features.statistics

    @cached_property
    def tls(self) -> payload.TLSInfo | None:
        """What the handshake of TLS over TCP says, if there was one."""
        return payload.tls(self._part, self._row)

    @cached_property
    def http(self) -> payload.HTTPInfo | None:
        """The first request and response of HTTP in the clear, if there were some."""
        return payload.http(self._part, self._row)

    @cached_property
    def dns(self) -> payload.DNSInfo | None:
        """Questions and answers of DNS, if there were some."""
        return payload.dns(self._part, self._row)

    @cached_property
    def quic(self) -> payload.QUICInfo | None:
        """What the handshake inside QUIC says, if there was one."""
        return payload.quic(self._part, self._row)

    @cached_property
    def packets(self) -> list[ParsedPacket]:
        """Packets one by one, with ``verbose_mode`` of the analyzer."""
        if not self._part.verbose:
            raise NotKept("packets: an analyzer without verbose_mode keeps none; make it with Wa1kPcap(verbose_mode=True), or use flow.features")
        return packets(self.features)

    def packets_forward(self) -> list[ParsedPacket]:
        """Those up."""
        return [packet for packet in self.packets if packet.is_client_to_server]

    def packets_reverse(self) -> list[ParsedPacket]:
        """Those down."""
        return [packet for packet in self.packets if not packet.is_client_to_server]

    @cached_property
    def feature_values(self) -> dict[str, Any]:
        """What features of one's own gave, by name; worked out when it is first asked for."""
        return computed(self, self._part.features)

    def get_features(self) -> dict[str, Any]:
        """:attr:`feature_values`, by the original's name."""
        return self.feature_values

    def register_incremental_feature(self, name: str, processor: Processor) -> None:
        """Works out one more feature of this flow."""
        self.__dict__["feature_values"] = self.feature_values | computed(self, {name: checked(name, processor)})

    def to_dict(self) -> dict[str, Any]:
        """The flow without its features: ``tls``, ``http`` and ``dns`` are dictionaries, and are left out where there are none."""
        from .export import spoken

        found = {name: self._part.cell(name, self._row) for name in BASE}
        said = {name: self._part.cell(name, self._row) for name in SPOKEN}
        return found | {name: spoken(text) for name, text in said.items() if text is not None}

    def __repr__(self) -> str:
        packets = f"{self.packet_count} packet{'s' if self.packet_count != 1 else ''}"
        return f"<Flow {self.key}: {packets}, {self.byte_count} bytes, {self.duration:.3f} s, {'/'.join(self.ext_protocol)}>"

    is_closed = Elsewhere(_ENDS)
    tcp_state = Elsewhere(_ENDS)
    tcp_state_reverse = Elsewhere(_ENDS)
    layers = Elsewhere("tls, http, dns and quic have what layers say")
    build_ext_protocol = Elsewhere("it is built: ext_protocol")

    packet_lengths = _Sequence("packet_lengths")
    ip_lengths = _Sequence("ip_lengths")
    trans_lengths = _Sequence("trans_lengths")
    app_lengths = _Sequence("app_lengths")
    timestamps = _Sequence("timestamps")
    iats = _Sequence("iats")
    payload_bytes = _Sequence("payload_bytes")
    tcp_flags = _Sequence("tcp_flags")
    tcp_window_sizes = _Sequence("tcp_window_sizes")

    pkt_mean = _Figure("packet_lengths", "mean")
    pkt_std = _Figure("packet_lengths", "std")
    pkt_var = _Figure("packet_lengths", "var")
    pkt_min = _Figure("packet_lengths", "min")
    pkt_max = _Figure("packet_lengths", "max")
    pkt_range = _Figure("packet_lengths", "range")
    pkt_median = _Figure("packet_lengths", "median")
    pkt_skew = _Figure("packet_lengths", "skew")
    pkt_kurt = _Figure("packet_lengths", "kurt")
    pkt_cv = _Figure("packet_lengths", "cv")
    pkt_up_mean = _Figure("packet_lengths", "up_mean")
    pkt_up_std = _Figure("packet_lengths", "up_std")
    pkt_up_min = _Figure("packet_lengths", "up_min")
    pkt_up_max = _Figure("packet_lengths", "up_max")
    pkt_up_sum = _Figure("packet_lengths", "up_sum")
    pkt_up_count = _Figure("packet_lengths", "up_count")
    pkt_down_mean = _Figure("packet_lengths", "down_mean")
    pkt_down_std = _Figure("packet_lengths", "down_std")
    pkt_down_min = _Figure("packet_lengths", "down_min")
    pkt_down_max = _Figure("packet_lengths", "down_max")
    pkt_down_sum = _Figure("packet_lengths", "down_sum")
    pkt_down_count = _Figure("packet_lengths", "down_count")
    ip_mean = _Figure("ip_lengths", "mean")
    ip_std = _Figure("ip_lengths", "std")
    ip_var = _Figure("ip_lengths", "var")
    ip_min = _Figure("ip_lengths", "min")
    ip_max = _Figure("ip_lengths", "max")
    ip_range = _Figure("ip_lengths", "range")
    ip_median = _Figure("ip_lengths", "median")
    ip_skew = _Figure("ip_lengths", "skew")
    ip_kurt = _Figure("ip_lengths", "kurt")
    ip_cv = _Figure("ip_lengths", "cv")
    trans_mean = _Figure("trans_lengths", "mean")
    trans_std = _Figure("trans_lengths", "std")
    trans_var = _Figure("trans_lengths", "var")
    trans_min = _Figure("trans_lengths", "min")
    trans_max = _Figure("trans_lengths", "max")
    trans_range = _Figure("trans_lengths", "range")
    trans_median = _Figure("trans_lengths", "median")
    trans_skew = _Figure("trans_lengths", "skew")
    trans_kurt = _Figure("trans_lengths", "kurt")
    trans_cv = _Figure("trans_lengths", "cv")
    app_mean = _Figure("app_lengths", "mean")
    app_std = _Figure("app_lengths", "std")
    app_var = _Figure("app_lengths", "var")
    app_min = _Figure("app_lengths", "min")
    app_max = _Figure("app_lengths", "max")
    app_range = _Figure("app_lengths", "range")
    app_median = _Figure("app_lengths", "median")
    app_skew = _Figure("app_lengths", "skew")
    app_kurt = _Figure("app_lengths", "kurt")
    app_cv = _Figure("app_lengths", "cv")
    iat_mean = _Figure("iats", "mean")
    iat_std = _Figure("iats", "std")
    iat_var = _Figure("iats", "var")
    iat_min = _Figure("iats", "min")
    iat_max = _Figure("iats", "max")
    iat_range = _Figure("iats", "range")
    iat_median = _Figure("iats", "median")
    iat_skew = _Figure("iats", "skew")
    iat_kurt = _Figure("iats", "kurt")
    iat_cv = _Figure("iats", "cv")
