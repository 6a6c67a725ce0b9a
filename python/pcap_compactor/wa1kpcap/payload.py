"""What the payload of a flow says."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any

from .elsewhere import Elsewhere
from .part import Part

#: Versions as the original has them: the bytes of the field.
_VERSIONS = {"SSL 3.0": "3.0", "TLS 1.0": "3.1", "TLS 1.1": "3.2", "TLS 1.2": "3.3", "TLS 1.3": "3.4"}

_ONE = "it is of one record, and this is of the whole handshake"
_FLOW = "they are of one message; query_count and response_count say how many of each the flow has"
_SAID = "extensions has their numbers; sni, alpn, supported_groups and others what they say"


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """The handshake of TLS."""

    #: The version that the server chose, as ``"3.3"``; ``None`` without its hello.
    version: str | None
    #: The same as people call it, ``"TLS 1.2"``.
    version_name: str | None
    #: The name that the client asked for, if any.
    sni: list[str]
    #: Application protocols that the client offered; without its hello, the one that the server chose.
    alpn: list[str]
    #: The application protocol that the server chose.
    alpn_selected: str | None
    #: Cipher suites that the client offered, and the one that the server chose.
    cipher_suites: list[int]
    cipher_suite: int | None
    supported_groups: list[int]
    signature_algorithms: list[int]
    #: Numbers of the client hello's extensions.
    extensions: list[int]
    ja3: str | None
    ja3s: str | None
    ja4: str | None
    #: The server's certificates, its own first: ``subject`` and ``issuer`` (dictionaries), ``serial_number``, ``not_before``, ``not_after``
    #: (ISO 8601), ``sha256``, ``san``, ``key_type``, ``key_bits``, ``signature_algorithm``.
    certificates: list[dict[str, Any]] = field(repr=False)

    content_type = Elsewhere(_ONE)
    handshake_type = Elsewhere(_ONE)
    record_length = Elsewhere(_ONE)
    exts = Elsewhere(_SAID)
    get_extension = Elsewhere(_SAID)

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The server's own certificate. In TLS 1.3 certificates are encrypted, so there is none."""
        return self.certificates[0] if self.certificates else None


@dataclass(frozen=True, slots=True)
class HTTPInfo:
    """The first request of HTTP and the first response."""

    method: str | None
    host: str | None
    path: str | None
    user_agent: str | None
    status_code: int | None
    #: Of the response.
    content_type: str | None
    content_length: int | None


@dataclass(frozen=True, slots=True)
class DNSInfo:
    """Questions and answers of DNS."""

    #: Names asked for, each once.
    queries: list[str]
    #: Data of the answers to them.
    answers: list[str]
    #: The first that tells of an error, else the first; ``None`` without a response.
    response_code: int | None
    #: Messages.
    query_count: int
    response_count: int

    is_query = Elsewhere(_FLOW)
    is_response = Elsewhere(_FLOW)
    answer_count = Elsewhere("it is of one message; answers has those of the whole flow")


@dataclass(frozen=True, slots=True)
class QUICInfo:
    """The handshake inside QUIC."""

    version: str | None
    sni: str | None
    alpn: list[str]
    cipher_suites: list[int]


def tls(part: Part, row: int) -> TLSInfo | None:
    """TLS over TCP, if there is some."""
    if part.cell("tls", row) is None:
        return None
    cell, items = part.cell, part.items
    version, name, chosen = cell("tls_version", row), cell("tls_sni", row), cell("tls_alpn", row)
    return TLSInfo(
        version=_VERSIONS.get(version, version),
        version_name=version,
        sni=[name] if name is not None else [],
        alpn=items("tls_alpn_offered", row) or ([chosen] if chosen is not None else []),
        alpn_selected=chosen,
        cipher_suites=items("tls_ciphers", row),
        cipher_suite=cell("tls_cipher", row),
        supported_groups=items("tls_groups", row),
        signature_algorithms=items("tls_signature_algorithms", row),
        extensions=items("tls_extensions", row),
        ja3=cell("tls_ja3", row),
        ja3s=cell("tls_ja3s", row),
        ja4=cell("tls_ja4", row),
        certificates=_certificates(part, row),
    )


def http(part: Part, row: int) -> HTTPInfo | None:
    """HTTP in the clear, if there is some."""
    if part.cell("http", row) is None:
        return None

    def first(name: str) -> Any:
        return next(iter(part.items(name, row)), None)

    return HTTPInfo(
        method=first("http_method"),
        host=first("http_host"),
        path=first("http_target"),
        user_agent=first("http_user_agent"),
        status_code=first("http_status"),
        content_type=first("http_content_type"),
        content_length=first("http_content_length"),
    )


def dns(part: Part, row: int) -> DNSInfo | None:
    """DNS, if there is some."""
    from .export import spoken

    if part.cell("dns", row) is None:
        return None
    codes = [code for code in part.items("dns_rcode", row) if code is not None]
    return DNSInfo(
        queries=spoken(part.cell("dns", row))["queries"],
        answers=[data for of in part.items("dns_answers", row) for data in of or []],
        response_code=next((code for code in codes if code), codes[0] if codes else None),
        query_count=part.cell("dns_queries", row) or 0,
        response_count=part.cell("dns_responses", row) or 0,
    )


def quic(part: Part, row: int) -> QUICInfo | None:
    """QUIC, if there is some."""
    if "QUIC" not in part.cell("ext_protocol", row):
        return None
    return QUICInfo(
        version=part.cell("quic_version", row),
        sni=part.cell("tls_sni", row),
        alpn=part.items("tls_alpn_offered", row),
        cipher_suites=part.items("tls_ciphers", row),
    )


def _certificates(part: Part, row: int) -> list[dict[str, Any]]:
    def times(name: str) -> list[str | None]:
        column: Any = part.batch.column(name)
        whole: Any = column.slice(row, 1).flatten()
        # Whole seconds, for which Python's datetime is enough.
        seconds = [None if ns is None else ns // 10**9 for ns in whole.cast("int64").to_pylist()]
        return [None if at is None else _iso(at) for at in seconds]

    columns = {
        "subject": [_name(text) for text in part.items("tls_cert_subject", row)],
        "issuer": [_name(text) for text in part.items("tls_cert_issuer", row)],
        "serial_number": [None if text is None else hex(int(text or "0", 16)) for text in part.items("tls_cert_serial", row)],
        "not_before": times("tls_cert_not_before"),
        "not_after": times("tls_cert_not_after"),
        "sha256": part.items("tls_cert_sha256", row),
        "san": part.items("tls_cert_san", row),
        "key_type": part.items("tls_cert_key_type", row),
        "key_bits": part.items("tls_cert_key_bits", row),
        "signature_algorithm": part.items("tls_cert_signature", row),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _iso(seconds: int) -> str:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    try:
        return (epoch + datetime.timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return f"{seconds} s since 1970"


def _name(text: str | None) -> dict[str, str]:
    """A distinguished name by its parts, as ``{"CN": "example.org"}``; of a part that stands twice, the last."""
    parts = re.findall(r"([^=,]+)=((?:\\.|[^,\\])*)(?:, ?|$)", text or "")
    return {key.strip(): re.sub(r"\\(.)", r"\1", value) for key, value in parts}
