"""Flows in the manner of wa1kpcap: code written for it goes on with its import line changed.

::

    from pcap_compactor.wa1kpcap import Wa1kPcap, to_dataframe

    flows = Wa1kPcap().analyze_file("traffic.pcap")
    for flow in flows:
        print(flow.key, flow.packet_count, flow.pkt_mean, flow.tls.sni if flow.tls else None)
    frame = to_dataframe(flows)

Values are those of ``pcap-compactor flows --dialect wa1kpcap``; ``pcap-compactor schema flows --dialect wa1kpcap`` lists the columns, and where
they are right and wa1kpcap 0.2.0 is not. A flow is a row of a table: what it says is read when it is asked for, and its sequences are views
of the table's memory. Needs pyarrow and NumPy, and pandas for frames.

Not here: packets' bytes and layers, and parsers of one's own (``register_protocol``, ``PcapReader``, ``FlowManager``). They raise an
``ImportError`` or an error that says what there is instead.
"""

from typing import NoReturn

from .analyzer import Wa1kPcap
from .export import FlowExporter, to_csv, to_dataframe, to_dict, to_json, to_list_of_dicts
from .features import FlowFeatures
from .flow import Flow, FlowKey, FlowMetrics
from .packet import ParsedPacket, TCPInfo
from .payload import DNSInfo, HTTPInfo, QUICInfo, TLSInfo
from .registry import BaseIncrementalFeature, FeatureType, list_features, register_feature, unregister_feature

__all__ = [
    "BaseIncrementalFeature",
    "DNSInfo",
    "FeatureType",
    "Flow",
    "FlowExporter",
    "FlowFeatures",
    "FlowKey",
    "FlowMetrics",
    "HTTPInfo",
    "ParsedPacket",
    "QUICInfo",
    "TCPInfo",
    "TLSInfo",
    "Wa1kPcap",
    "list_features",
    "register_feature",
    "to_csv",
    "to_dataframe",
    "to_dict",
    "to_json",
    "to_list_of_dicts",
    "unregister_feature",
]

#: Names of the original that are not here, and what is.
_ELSEWHERE = {
    **dict.fromkeys(
        "BaseProtocolHandler ProtocolContext ParseResult ProtocolInfo ProtocolRegistry register_protocol get_global_registry Layer".split(),
        "the engine reads protocols; flows_table(..., app=True) has what it finds",
    ),
    **dict.fromkeys(["PacketFilter", "compile_filter", "BPFCompiler"], "Wa1kPcap(bpf_filter=...) takes tcpdump's language"),
    **dict.fromkeys(["FlowManager", "TCPState"], "Wa1kPcap(tcp_cleanup_timeout=..., udp_timeout=..., split_connections=...) says when flows end"),
    "PcapReader": "the engine reads captures; Wa1kPcap.iter_file streams their flows",
    "FeatureExtractor": "flows come with their features: flow.features",
    "get_feature_registry": "list_features() lists what register_feature registered",
}


def __getattr__(name: str) -> NoReturn:
    if name in _ELSEWHERE:
        raise ImportError(f"{name} of wa1kpcap is not in {__name__}: {_ELSEWHERE[name]}", name=__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
