"""The analyzer: from captures to flows."""

from __future__ import annotations

import fnmatch
import inspect
import math
import numbers
import os
import warnings
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, Never

from ..errors import DamageWarning, Error, InputError, OptionError
from ..progress import Report
from . import filters
from .collector import uncollected
from .figures import BLOCKS, ENGINE
from .flow import Flow
from .part import Part, Pass
from .registry import Processor, checked

#: Options of other versions of the original, and what there is instead.
_OTHERS = {
    "engine": "there is one engine; leave it out",
    "enabled_features": "choose columns of the frame: to_dataframe(flows)[[...]]",
    "protocols": "every protocol is read; choose flows: [flow for flow in flows if 'TLS' in flow.ext_protocol]",
    "app_layer_parsing": "payload is always read, on any port; leave it out",
    "max_flows": "there is no limit; flows_table(..., max_flows=...) has those of most packets",
}


class MissingCaptureError(InputError, FileNotFoundError):
    """There is no such capture."""


class Wa1kPcap:
    """Analyzes captures.

    Args:
        udp_timeout: The longest silence inside a flow of UDP, in seconds; 0: any.
        tcp_cleanup_timeout: The longest silence inside a flow of TCP, in seconds; 0: any. The original takes it and ends no flow.
        filter_ack: Leaves out TCP packets that only acknowledge, also those with options, which the original keeps.
        filter_rst: Leaves out TCP packets with RST.
        filter_retrans: Leaves out TCP segments whose bytes were all seen before.
        verbose_mode: Keeps packets: flows have ``packets``. Sequences (``flow.features``) are always there.
        save_raw_bytes: Only ``False``: flows do not hold packets' bytes.
        compute_statistics: Statistics come with the flows, and are columns of frames; ``False`` works them out when they are asked for
            (``flow.stats``), by the same formulas, and leaves the columns out, which takes less memory.
        enable_reassembly: Reads payload across segments, in the order of the sequence, and QUIC across packets. Fragments of IP are not joined:
            each counts with its own lengths. ``False`` leaves out all fragments but the first, and joins nothing: HTTP and DNS are read where they
            stand whole in a packet, and hellos and certificates of TLS and QUIC are not read.
        bpf_filter: Only packets that match, in tcpdump's language (empty: all), with the original's ``icmpv6``, ``ipv6``, ``dhcp``, ``dhcpv6``, ``gre`` and
            ``vxlan``; words may be in capitals.
        default_filter: As ``bpf_filter``, and both must match; ``None``: all packets. As in wa1kpcap 0.2.0 it leaves out ICMP and DHCP.
        min_packets: Leaves out flows with fewer packets.
        split_connections: A closed TCP connection ends its flow, and the next one between the same ports is another. The original, whatever
            it says, puts them in one flow, and so does the default.
        threads: Threads in all; by default the cores that may be used.
        progress: ``True`` for a line on standard error, or a function (see ``pcap_compactor.progress``).

    Raises:
        OptionError: An option has a value that is not taken; the text says what is.
        TypeError: There is no such option; the text says what there is instead.
    """

    def __init__(
        self,
        udp_timeout: float = 0,
        tcp_cleanup_timeout: float = 300.0,
        filter_ack: bool = False,
        filter_rst: bool = False,
        filter_retrans: bool = True,
        verbose_mode: bool = False,
        save_raw_bytes: bool = False,
        compute_statistics: bool = True,
        enable_reassembly: bool = True,
        *,
        bpf_filter: str | None = None,
        default_filter: str | None = filters.DEFAULT,
        min_packets: int = 1,
        split_connections: bool = False,
        threads: int | None = None,
        progress: bool | Report | None = None,
        **others: Never,
    ) -> None:
        for name in others:
            raise TypeError(f"Wa1kPcap() takes no {name}" + (f": {_OTHERS[name]}" if name in _OTHERS else ""))
        self.udp_timeout = _seconds("udp_timeout", udp_timeout)
        self.tcp_cleanup_timeout = _seconds("tcp_cleanup_timeout", tcp_cleanup_timeout)
        self.filter_ack = _flag("filter_ack", filter_ack)
        self.filter_rst = _flag("filter_rst", filter_rst)
        self.filter_retrans = _flag("filter_retrans", filter_retrans)
        self.verbose_mode = _flag("verbose_mode", verbose_mode)
        self.compute_statistics = _flag("compute_statistics", compute_statistics)
        self.enable_reassembly = _flag("enable_reassembly", enable_reassembly)
        self.save_raw_bytes = _flag("save_raw_bytes", save_raw_bytes)
        if self.save_raw_bytes:
            raise OptionError(
                "save_raw_bytes = True: flows hold times, lengths and flags of packets, not their bytes; leave it out, and read bytes with dpkt or"
                " scapy"
            )
        self.bpf_filter = bpf_filter
        self.default_filter = default_filter
        self.min_packets = min_packets
        self.split_connections = _flag("split_connections", split_connections)
        self._threads = threads
        self._progress = progress
        self._features: dict[str, Any] = {}
        self._options, self._switches = self._asked()
        self.reset_stats()
        # What the engine does not take is told here, not at the first capture.
        self._pass(os.devnull)

    def _asked(self) -> tuple[dict[str, Any], dict[str, bool]]:
        """Options of the command line's names, and switches of the analyzer's own."""
        wanted = [filters.tcpdump("bpf_filter", self.bpf_filter)] if self.bpf_filter is not None else []
        usual = self.default_filter == filters.DEFAULT
        if self.default_filter is not None and not usual:
            wanted.append(filters.tcpdump("default_filter", self.default_filter))
        if not self.enable_reassembly:
            wanted.append(filters.NO_LATER_FRAGMENTS)
        options = {
            "filter": " and ".join(f"({some})" for some in wanted if some) or None,
            "udp_timeout": self.udp_timeout,
            "tcp_timeout": self.tcp_cleanup_timeout,
            "no_pure_acks": self.filter_ack,
            "no_rst": self.filter_rst,
            "no_retransmissions": self.filter_retrans,
            "min_packets": self.min_packets,
            "threads": self._threads,
        }
        switches = {
            "no_default_filter": not usual,
            "no_reassembly": not self.enable_reassembly,
            "split_connections": self.split_connections,
        }
        return options, switches

    def _pass(self, path: str | os.PathLike[str]) -> Pass:
        return Pass(path, self._options, self._switches, self._progress)

    def iter_file(self, pcap_path: str | os.PathLike[str]) -> Iterator[Flow]:
        """The flows of a capture as they end; memory holds some thousand of them at a time, unless they are kept.

        Args:
            pcap_path: A capture: pcap or pcapng, also inside gzip or zstd.

        Raises:
            MissingCaptureError: There is no such file; it is a ``FileNotFoundError`` too.
            InputError: It is no capture.

        Warns:
            DamageWarning: A part could not be read.
        """
        for part in self._parts(pcap_path):
            yield from map(Flow, repeat(part), range(part.batch.num_rows))

    def analyze_file(self, pcap_path: str | os.PathLike[str]) -> list[Flow]:
        """The flows of a capture, as :meth:`iter_file` has them, which holds less.

        Those that a timeout ended are first, in the order in which they ended; the others are in the order of their first packets.
        """
        flows: list[Flow] = []
        for part in self._parts(pcap_path):
            with uncollected():
                flows.extend(map(Flow, repeat(part), range(part.batch.num_rows)))
        return flows

    def analyze_directory(self, directory: str | os.PathLike[str], pattern: str = "*.pcap") -> dict[str, list[Flow]]:
        """The flows of each capture of a folder, by the capture's name; not of folders inside.

        One that cannot be read is a :class:`~pcap_compactor.DamageWarning`, stands in ``stats["errors"]``, and is left out.

        Args:
            directory: The folder.
            pattern: Which names count: ``"*.pcapng"``, ``"*.pcap*"``, ``"*"``.

        Raises:
            MissingCaptureError: There is no such folder; it is a ``FileNotFoundError`` too.
        """
        folder = Path(directory)
        if not folder.is_dir():
            raise MissingCaptureError(f"{folder}: there is no such folder; of one capture analyze_file has the flows", path=str(folder))
        found: dict[str, list[Flow]] = {}
        for path in sorted(path for path in folder.iterdir() if path.is_file() and fnmatch.fnmatch(path.name, pattern)):
            try:
                found[path.name] = self.analyze_file(path)
            except InputError as error:
                self._stats["errors"].append(str(error))
                warnings.warn(DamageWarning(str(error), error.path, error.offset), stacklevel=2)
        return found

    def _parts(self, pcap_path: str | os.PathLike[str]) -> Iterator[Part]:
        path = Path(pcap_path)
        if path.is_dir():
            raise InputError(f"{path}: is a folder; analyze_directory has the flows of its captures", path=str(path))
        if not path.exists():
            raise MissingCaptureError(f"{path}: there is no such file", path=str(path))
        features = dict(self._features)
        run = self._pass(path)
        batches = run.batches()
        flows = 0
        try:
            for batch in batches:
                if not self.compute_statistics:
                    batch = batch.select([name for name in batch.schema.names if name not in _STATISTICS])
                flows += batch.num_rows
                yield Part(batch, features, self.verbose_mode)
            self._stats["files_processed"] += 1
        finally:
            # A loop that was left, or an exception, leaves it before its end.
            batches.close()
            if (metrics := run.metrics) is not None:
                self._stats["packets_processed"] += metrics["ledger"]["read"]["packets"]
                self._stats["packets_filtered"] += metrics["ledger"]["filtered"]["packets"]
                self._stats["flows_created"] += flows

    def register_feature(self, name: str, processor: Processor) -> None:
        """Registers a feature for flows that are analyzed from now on; it is worked out when a flow is first asked for it.

        Args:
            name: Its name; :meth:`Flow.get_features` and exports have it.
            processor: A function of a flow, or a :class:`BaseIncrementalFeature`.

        Raises:
            OptionError: The processor is neither.
        """
        self._features[name] = checked(name, processor)

    @property
    def stats(self) -> dict[str, Any]:
        """What was counted since the beginning, or ``reset_stats``: ``files_processed`` (to their ends), ``packets_processed`` (read),
        ``packets_filtered`` (by filters and as retransmissions), ``flows_created``, ``errors``. Of a file that was left, by an exception or a
        loop that ended early, what had been read counts."""
        return {**self._stats, "errors": list(self._stats["errors"])}

    def reset_stats(self) -> None:
        """Counts from 0 again."""
        self._stats: dict[str, Any] = {"files_processed": 0, "packets_processed": 0, "packets_filtered": 0, "flows_created": 0, "errors": []}

    def __repr__(self) -> str:
        usual = {name: it.default for name, it in inspect.signature(Wa1kPcap).parameters.items()}
        told = [f"{name}={value!r}" for name, value in vars(self).items() if name in usual and value != usual[name]]
        return f"Wa1kPcap({', '.join(told)})"


_STATISTICS = {f"feature.{block}.{name}" for block in BLOCKS for name in ENGINE}


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise OptionError(f"{name} = {value!r}: True or False")
    return value


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
        raise OptionError(f"{name} = {value!r}: seconds, 0 for any length of time")
    # NumPy's, too.
    return int(value) if isinstance(value, numbers.Integral) else float(value)
