"""Captures that tests build themselves."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

#: 2023-10-19T12:00:00Z.
START = 1697716800

SYN, RST, ACK, PUSH, FIN = 0x02, 0x04, 0x10, 0x08, 0x01


def tcp(src: str, dst: str, ports: tuple[int, int], flags: int, payload: bytes = b"", seq: int = 0) -> bytes:
    """A frame of Ethernet, IPv4 and TCP."""
    segment = struct.pack("!HHIIBBHHH", *ports, seq, 0, 0x50, flags, 8192, 0, 0) + payload
    return _ip(src, dst, 6, segment)


def udp(src: str, dst: str, ports: tuple[int, int], payload: bytes = b"") -> bytes:
    """A frame of Ethernet, IPv4 and UDP."""
    return _ip(src, dst, 17, struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload)


def _ip(src: str, dst: str, protocol: int, body: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return b"\0" * 12 + b"\x08\0" + header + IPv4Address(src).packed + IPv4Address(dst).packed + body


def pcap(path: Path, records: Iterable[tuple[float, bytes]]) -> Path:
    """A capture of nanoseconds; records are times in seconds behind START, and frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for time, frame in records:
            ns = START * 10**9 + round(time * 1e9)
            file.write(struct.pack("<IIII", ns // 10**9, ns % 10**9, len(frame), len(frame)) + frame)
    return path


def web(time: float, client: str = "10.0.0.1", server: str = "10.1.0.1", port: int = 40000) -> list[tuple[float, bytes]]:
    """A request and its answer over TCP."""
    out, back = (client, server, (port, 80)), (server, client, (80, port))
    request = b"GET /shop/item?id=7 HTTP/1.1\r\nHost: a.example\r\n\r\n"
    return [
        (time, tcp(*out, SYN)),
        (time + 0.01, tcp(*back, SYN | ACK)),
        (time + 0.02, tcp(*out, ACK, seq=1)),
        (time + 0.03, tcp(*out, ACK | PUSH, request, seq=1)),
        (time + 0.05, tcp(*back, ACK | PUSH, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seq=1)),
        (time + 0.06, tcp(*out, ACK | FIN, seq=1 + len(request))),
        (time + 0.07, tcp(*back, ACK | FIN, seq=39)),
        (time + 0.08, tcp(*out, ACK, seq=2 + len(request))),
    ]


def scan(time: float, source: str = "10.9.9.9", targets: int = 200) -> list[tuple[float, bytes]]:
    """A SYN to each of many hosts, which nobody answers."""
    return [(time + n / 1000, tcp(source, f"10.2.{n // 250}.{n % 250 + 1}", (50000, 23), SYN)) for n in range(targets)]


def day(folder: Path, name: str = "day.pcap") -> Path:
    """Two hours of web, DNS and a scan."""
    records = [record for n in range(20) for record in web(n * 300.0, f"10.0.0.{n + 1}", port=40000 + n)]
    records += [(n * 60.0, udp("10.0.0.1", "10.1.0.53", (30000 + n, 53), b"\0" * 30)) for n in range(100)]
    records += scan(100.0)
    return pcap(folder / name, sorted(records))


def large(folder: Path, flows: int) -> Path:
    """A capture of as many flows of one packet."""
    frames = ((n / 1e4, udp(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", "10.200.0.1", (1000, 9))) for n in range(flows))
    return pcap(folder / "large.pcap", frames)
