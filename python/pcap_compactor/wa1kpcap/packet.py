"""Packets of a flow, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from ..errors import Error
from .features import FlowFeatures


class NotKept(Error, AttributeError):
    """What tables of flows do not hold."""


@dataclass(frozen=True, slots=True)
class TCPInfo:
    """What is kept of a TCP header."""

    #: FIN 1 to CWR 128.
    flags: int
    #: The window field, not scaled.
    win: int

    @property
    def fin(self) -> bool:
        return bool(self.flags & 1)

    @property
    def syn(self) -> bool:
        return bool(self.flags & 2)

    @property
    def rst(self) -> bool:
        return bool(self.flags & 4)

    @property
    def psh(self) -> bool:
        return bool(self.flags & 8)

    @property
    def ack(self) -> bool:
        return bool(self.flags & 16)

    @property
    def urg(self) -> bool:
        return bool(self.flags & 32)


@dataclass(frozen=True, slots=True)
class ParsedPacket:
    """Times, lengths and flags of a packet."""

    #: Seconds since 1970.
    timestamp: float
    #: Bytes of the frame on the wire, from the IP header on, of TCP or UDP with its header, and of its payload as captured.
    wirelen: int
    ip_len: int
    trans_len: int
    app_len: int
    #: From the sender of the flow's first packet.
    is_client_to_server: bool
    #: Its place in the flow, from 0.
    packet_index: int
    tcp: TCPInfo | None

    @property
    def raw_data(self) -> NoReturn:
        """Not kept."""
        raise NotKept("raw_data: flows hold times, lengths and flags of packets, not their bytes; read bytes with dpkt or scapy")

    @property
    def payload(self) -> NoReturn:
        """Not kept."""
        raise NotKept("payload: flows hold times, lengths and flags of packets, not their bytes; what those say is in flow.tls, flow.http, flow.dns")


def packets(features: FlowFeatures) -> list[ParsedPacket]:
    """The packets of a flow as they came."""
    times = features.timestamps.tolist()
    lengths = [sequence.tolist() for sequence in (features.packet_lengths, features.ip_lengths, features.trans_lengths, features.app_lengths)]
    flags, windows = features.tcp_flags.tolist(), features.tcp_window_sizes.tolist()
    # Fragments among them have no header, and then it is not known whose flags those are.
    known = len(flags) == len(times)
    return [
        ParsedPacket(time, abs(frame), abs(ip), abs(transport), abs(payload), frame > 0, at, TCPInfo(flags[at], windows[at]) if known else None)
        for at, (time, frame, ip, transport, payload) in enumerate(zip(times, *lengths, strict=True))
    ]
