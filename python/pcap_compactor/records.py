"""The records of an hour, as the original has them; fields that it has not come last."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

Transport = Literal["tcp", "udp", "other"]


@dataclass(frozen=True, slots=True)
class SegmentHandle:
    """One capture file of a sensor.

    ``compressor`` is for people: the reader recognises compression by content.
    """

    id: str
    sensor: str
    start_ts: float
    end_ts: float
    path: str | os.PathLike[str]
    compressor: Literal["none", "gzip", "zstd"] = "none"


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """One packet, as the original's reader has it. The engine makes none; it is here for code that names it."""

    ts: float
    src_ip: str
    dst_ip: str
    src_port: int
    dst_port: int
    transport: Transport
    tcp_flags: int | None
    length: int
    payload_preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What the packets of a group have in common. The source port is no part of it."""

    src_ip: str
    dst_ip: str
    dst_port: int
    transport: Transport
    service: str


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One slice of a group: packets between idle gaps. Times are seconds since 1970, UTC."""

    key: GroupKey
    first_ts: float
    last_ts: float
    duration_s: float
    #: ``pkts_up``, ``pkts_dn``, ``bytes_up``, ``bytes_dn``; up is from ``src_ip``.
    counts: dict[str, int]
    #: Packets with ``syn``, ``ack``, ``rst``, ``fin``, of both directions.
    tcp_flags: dict[str, int]
    #: The nine quantised values.
    tokens: dict[str, int]
    #: ``uri_tokens``: those that were kept; ``uri_tokens_total``: how many there were.
    http: dict[str, list[str] | int] | None = None
    #: How often each verb was.
    ftp: dict[str, int] | None = None
    #: How often each command was.
    smb: dict[str, int] | None = None
    #: The window, seconds since 1970.
    lineage_hour: tuple[int, int] = (0, 0)
    #: 5-tuples inside, protocol number included.
    flows: int = 0
    #: The weakest evidence that told the client of any of them.
    direction: str = "first_packet"


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """What stands for the probes of one scanner, by transport."""

    src_ip: str
    #: The window, seconds since 1970.
    window: tuple[int, int]
    #: Distinct destinations of the source, answered ones included.
    unique_dsts: int
    unique_ports: int
    #: Packets with SYN and without ACK, over all TCP packets of its flows.
    syn_only_ratio: float
    #: At most 20 distinct (address, port).
    sample_targets: list[tuple[str, int]]
    transport: Transport = "tcp"
    kind: Literal["horizontal", "vertical", "block"] = "horizontal"
    #: What the isolation forest said; ``none`` where there were too few sources to fit one.
    forest: Literal["inlier", "outlier", "none"] = "none"
    #: Contacts that were answered by more than RST.
    answered: int = 0
    #: What it stands for.
    groups: int = 0
    packets: int = 0
    bytes: int = 0
