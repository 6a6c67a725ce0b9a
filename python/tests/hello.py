"""Hellos of TLS 1.2, which tests put into captures."""

from __future__ import annotations

import struct

import traffic


def _sized(width: int, body: bytes) -> bytes:
    return len(body).to_bytes(width, "big") + body


def _record(kind: int, body: bytes) -> bytes:
    return b"\x16\x03\x01" + _sized(2, bytes([kind]) + _sized(3, b"\x03\x03" + bytes(32) + body))


def _alpn(*names: bytes) -> bytes:
    return struct.pack("!H", 16) + _sized(2, _sized(2, b"".join(_sized(1, name) for name in names)))


def client(name: str) -> bytes:
    """A client's: it asks for a name, and offers h2 and two cipher suites."""
    sni = struct.pack("!H", 0) + _sized(2, _sized(2, b"\0" + _sized(2, name.encode())))
    return _record(1, b"\0" + _sized(2, b"\xc0\x2f\xc0\x30") + b"\x01\0" + _sized(2, sni + _alpn(b"h2", b"http/1.1")))


def server() -> bytes:
    """A server's: it takes the first suite and h2."""
    return _record(2, b"\0" + b"\xc0\x2f" + b"\0" + _sized(2, _alpn(b"h2")))


def connection(time: float, name: str = "a.example", cut: int | None = None) -> list[tuple[float, bytes]]:
    """The hellos of a connection; the client's may be cut into two segments."""
    out, back = ("10.0.0.1", "10.1.0.9", (41000, 8443)), ("10.1.0.9", "10.0.0.1", (8443, 41000))
    hello = client(name)
    pieces = [hello] if cut is None else [hello[:cut], hello[cut:]]
    records = [(time, traffic.tcp(*out, traffic.SYN)), (time + 0.01, traffic.tcp(*back, traffic.SYN | traffic.ACK))]
    seq = 1
    for piece in pieces:
        records.append((time + 0.02 + seq / 1e5, traffic.tcp(*out, traffic.ACK | traffic.PUSH, piece, seq=seq)))
        seq += len(piece)
    return [*records, (time + 0.05, traffic.tcp(*back, traffic.ACK | traffic.PUSH, server(), seq=1))]
