"""Flows as columns: a record batch of the engine, of which a flow is a row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _core
from ..needs import need
from ..options import FlowOptions, Path, prepared
from ..progress import Report, reporter
from ..tables import Table

if TYPE_CHECKING:
    import numpy
    import numpy.typing
    import pyarrow

#: Columns behind those of the dialect, of which flows have more than it writes.
MORE = (
    "vlan retransmitted_up retransmitted_dn out_of_order_up out_of_order_dn"
    " tls_version tls_client_version tls_cipher tls_ciphers tls_alpn tls_alpn_offered tls_sni tls_groups tls_signature_algorithms tls_extensions"
    " tls_ja3 tls_ja3s tls_ja4 tls_cert_subject tls_cert_issuer tls_cert_serial tls_cert_not_before tls_cert_not_after tls_cert_san"
    " tls_cert_key_type tls_cert_key_bits tls_cert_signature tls_cert_sha256"
    " http_method http_host http_target http_user_agent http_status http_content_type http_content_length"
    " dns_queries dns_responses dns_name dns_type dns_rcode dns_answers quic_version"
).split()


class Part:
    """Some flows of a capture, one behind another."""

    __slots__ = ("batch", "names", "features", "verbose", "_cells", "_sequences")

    batch: pyarrow.RecordBatch
    #: Those of its columns.
    names: frozenset[str]
    #: Features of the caller's own, by name.
    features: Mapping[str, Any]
    #: Whether packets may be asked for one by one.
    verbose: bool

    def __init__(self, batch: pyarrow.RecordBatch, features: Mapping[str, Any], verbose: bool) -> None:
        self.batch = batch
        self.names = frozenset(batch.schema.names)
        self.features = features
        self.verbose = verbose
        self._cells: dict[str, list[Any]] = {}
        self._sequences: dict[str, tuple[list[int], numpy.typing.NDArray[Any]]] = {}

    def cell(self, name: str, row: int) -> Any:
        """A value of a column, as Python has it."""
        try:
            return self._cells[name][row]
        except KeyError:
            self._cells[name] = cells = self.batch.column(name).to_pylist()
            return cells[row]

    def items(self, name: str, row: int) -> list[Any]:
        """A list of a column; empty where there is none. For what few flows have, so it is read alone."""
        return self.batch.column(name)[row].as_py() or []

    def sequence(self, name: str, row: int) -> numpy.typing.NDArray[Any]:
        """A list of numbers as a view of the column; empty where there is none."""
        try:
            starts, values = self._sequences[name]
        except KeyError:
            need("numpy", "flow.features")
            column: Any = self.batch.column(name)
            starts, values = column.offsets.to_pylist(), column.values.to_numpy()
            self._sequences[name] = starts, values
        return values[starts[row] : starts[row + 1]]


class Pass(Table):
    """A pass over a capture: the dialect's table, with what the original can be told beyond it, and with :data:`MORE` behind."""

    def __init__(self, path: Path, options: Mapping[str, Any], switches: Mapping[str, bool], progress: bool | Report | None) -> None:
        need("pyarrow", "pcap_compactor.wa1kpcap")
        self._name, self._inputs, self._options, self._progress = "Wa1kPcap", (path,), {**options, **switches}, progress
        asked = prepared(self._name, FlowOptions, {"dialect": "wa1kpcap", "columns": ",".join(MORE), **options})
        self._query = _core.Query("flows", [os.fsdecode(path)], {**asked, **switches, "analyzer": True}, None)
        reporter(progress)

    def empty(self) -> pyarrow.Table:
        """Its columns without rows."""
        table: pyarrow.Table = need("pyarrow", "pcap_compactor.wa1kpcap").schema(self).empty_table()
        return table
