"""Flows in wa1kpcap's manner: its examples, its options, its names."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
import operator
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy
import pandas
import pyarrow.parquet
import pytest

import hello
import pcap_compactor
import traffic
from conftest import shared
from pcap_compactor.wa1kpcap import (
    BaseIncrementalFeature,
    FeatureType,
    Flow,
    FlowExporter,
    FlowKey,
    ParsedPacket,
    Wa1kPcap,
    list_features,
    register_feature,
    to_csv,
    to_dataframe,
    to_dict,
    to_json,
    to_list_of_dicts,
    unregister_feature,
)
from pcap_compactor.wa1kpcap.alike import first_alike
from pcap_compactor.wa1kpcap.collector import uncollected

#: Where a flow is one 5-tuple, as there.
WHOLE = {"tcp_cleanup_timeout": 0}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Web, TLS, and DNS without payload that is some."""
    records = traffic.web(0.0) + hello.connection(1.0) + [(2.0, traffic.udp("10.0.0.1", "10.1.0.53", (30000, 53), b"\0" * 30))]
    return traffic.pcap(tmp_path / "mixed.pcap", records)


def one(path: Path, **options: Any) -> Flow:
    [flow] = Wa1kPcap(**options).analyze_file(path)
    return flow


def real(capture: str) -> Path:
    return shared(f"reference/wa1kpcap/captures/{capture}")


# What the original's documentation shows


def examples() -> list[str]:
    """The code of the original's documentation that can be run: whole programs, and the pieces of its reference with flows at hand."""
    blocks = re.findall(r"```python\n(.*?)```", shared("seeds/001_*").read_text(), re.DOTALL)
    # One is the signature, with types in it.
    return [block for block in blocks if "bool = False" not in block]


@pytest.mark.parametrize("capture", [None, "single.pcap", "multi.pcap", "long_tls_certificate.pcap", "http.pcapng", "quic.pcap", "sctp.cap"])
def test_the_originals_examples_run_with_their_import_line_changed(mixed: Path, tmp_path: Path, capture: str | None) -> None:
    path = mixed if capture is None else real(capture)
    programs = 0
    for code in examples():
        # Pieces of the reference have a flow, or flows.
        names: dict[str, Any] = {"flows": Wa1kPcap().analyze_file(path)}
        names["flow"] = names["flows"][0]
        code = code.replace("from wa1kpcap import", "from pcap_compactor.wa1kpcap import")
        code = code.replace("'traffic.pcap'", repr(str(path))).replace("'output.", f"'{tmp_path}/output.")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, names)
        # What prints says something, but of TLS where there is none.
        programs += "import Wa1kPcap" in code
        assert "print(" not in code or "flow.tls" in code or len(out.getvalue()) > 20, code
    assert programs == 7
    assert len(pandas.read_csv(tmp_path / "output.csv")) == len(json.loads((tmp_path / "output.json").read_text())) > 0


def test_every_option_and_name_of_the_documentation_is_there(mixed: Path) -> None:
    text = shared("seeds/001_*").read_text()
    flow = Wa1kPcap().analyze_file(mixed)[0]
    # One is the name of a file.
    names = set(re.findall(r"\bflow\.(\w+)", text)) - {"py"}
    assert len(names) > 70
    for name in names:
        assert hasattr(flow, name), name
    for name in re.findall(r"`(\w+_\w+|iats|timestamps)`: ", text):
        assert isinstance(getattr(flow.features, name), numpy.ndarray), name
    signature = re.findall(r"^    (\w+): \w+ = ([\w.]+),", text, re.MULTILINE)
    assert len(signature) == 9
    defaults = Wa1kPcap.__init__.__defaults__
    assert defaults is not None and [eval(value) for _, value in signature] == list(defaults)
    assert [name for name, _ in signature] == list(Wa1kPcap.__init__.__code__.co_varnames[1:10])


# Flows and what they say


def test_a_flow_says_what_its_packets_are(mixed: Path) -> None:
    web, tls, dns = Wa1kPcap().analyze_file(mixed)
    assert web.key == FlowKey("10.0.0.1", "10.1.0.1", 40000, 80, 6) and str(web.key) == "10.0.0.1:40000 -> 10.1.0.1:80 (TCP)"
    assert web.key.reverse().src_port == 80 and web.key.direction("10.0.0.1", 40000) == 1 and web.key.direction("10.1.0.1", 80) == -1
    assert (web.src_ip, web.dport, web.protocol, web.proto) == ("10.0.0.1", 80, 6, "TCP")
    assert web.start_time == traffic.START and web.end_time == traffic.START + 0.08 and web.duration == 0.08
    assert web.ext_protocol == ["IPv4", "TCP", "HTTP"] and dns.protocol == 17
    metrics = web.metrics
    assert (metrics.packet_count, metrics.up_packet_count, metrics.down_packet_count) == (8, 5, 3)
    assert (metrics.up_byte_count, metrics.down_byte_count) == (319, 200) and metrics.byte_count == web.byte_count == 519
    assert (metrics.syn_count, metrics.fin_count, metrics.rst_count, metrics.ack_count, metrics.psh_count, metrics.urg_count) == (2, 2, 0, 7, 2, 0)
    assert (metrics.retrans_count, metrics.min_window, metrics.max_window, metrics.sum_window) == (0, 8192, 8192, 8 * 8192)
    assert (dns.metrics.ack_count, dns.metrics.max_window, dns.metrics.packet_count) == (0, 0, 1)
    assert web.http is not None and (web.http.method, web.http.host, web.http.path) == ("GET", "a.example", "/shop/item?id=7")
    assert web.http.status_code == 200 and web.http.content_length == 0
    assert web.tls is None and web.dns is None and web.quic is None
    assert tls.tls is not None and (tls.tls.version, tls.tls.version_name, tls.tls.sni) == ("3.3", "TLS 1.2", ["a.example"])
    assert (tls.tls.alpn, tls.tls.alpn_selected, tls.tls.cipher_suites, tls.tls.cipher_suite) == (["h2", "http/1.1"], "h2", [0xC02F, 0xC030], 0xC02F)
    assert tls.tls.certificate is None and tls.ext_protocol == ["IPv4", "TCP", "TLS", "HTTPS"]
    assert repr(web) == "<Flow 10.0.0.1:40000 -> 10.1.0.1:80 (TCP): 8 packets, 519 bytes, 0.080 s, IPv4/TCP/HTTP>"


def test_keys_have_the_vlan_of_the_first_packet(tmp_path: Path) -> None:
    plain = traffic.udp("10.0.0.1", "10.0.0.2", (5, 6))
    tagged = plain[:12] + b"\x81\0\x60\x07" + plain[12:]
    for frames, vlan in (([tagged, plain], 7), ([plain, tagged], 0)):
        [flow] = Wa1kPcap().analyze_file(traffic.pcap(tmp_path / "vlan.pcap", enumerate(cast(Any, frames))))
        assert flow.packet_count == 2 and flow.key.vlan_id == flow.key.reverse().vlan_id == vlan
        assert "7" not in str(flow.key) and "vlan" not in to_dataframe([flow]).columns


def test_sequences_are_views_with_signs(mixed: Path) -> None:
    web, _, dns = Wa1kPcap().analyze_file(mixed)
    lengths = web.features.packet_lengths
    assert lengths.tolist() == [54, -54, 54, 103, -92, 54, -54, 54]
    assert lengths.dtype == numpy.int64 and web.features.iats.dtype == numpy.float64
    assert not lengths.flags.owndata, "it is not copied"
    assert numpy.shares_memory(lengths, web.packet_lengths)
    assert (abs(web.features.ip_lengths) == abs(lengths) - 14).all() and (abs(web.features.trans_lengths) == abs(lengths) - 34).all()
    assert (abs(web.features.app_lengths) == abs(lengths) - 54).all() and web.payload_bytes.tolist() == web.app_lengths.tolist()
    assert numpy.allclose(web.features.iats, numpy.diff(web.features.timestamps), atol=1e-6)
    assert web.features.tcp_flags.tolist() == [2, 18, 16, 24, 24, 17, 17, 16]
    assert len(dns.features.tcp_flags) == len(dns.features.iats) == 0 and len(dns.features.packet_lengths) == 1


def test_statistics_follow_their_formulas(mixed: Path) -> None:
    engine, own = (Wa1kPcap(compute_statistics=how).analyze_file(mixed) for how in (True, False))
    assert "feature.packet_lengths.mean" in to_dataframe(engine).columns
    assert "feature.packet_lengths.mean" not in to_dataframe(own).columns
    for flow, same in zip(engine, own, strict=True):
        assert flow.stats.keys() == same.stats.keys()
        for block, found in flow.stats.items():
            if not isinstance(found, dict):
                assert found == same.stats[block]
                continue
            values = numpy.abs(getattr(flow.features, "tcp_window_sizes" if block == "tcp_window" else block))
            deviations = values - values.mean()
            m2 = (deviations**2).mean() if len(set(values.tolist())) > 1 else 0.0
            assert found["mean"] == pytest.approx(values.mean()) and found["var"] == pytest.approx(m2)
            assert found["skew"] == pytest.approx((deviations**3).mean() / m2**1.5 if m2 else 0.0)
            assert found["kurt"] == pytest.approx((deviations**4).mean() / m2**2 - 3 if m2 else 0.0)
            assert found["cv"] == pytest.approx(m2**0.5 / values.mean() if values.any() else 0.0)
            assert found == pytest.approx(same.stats[block], rel=1e-12)
            assert len(found) == 24
    web, dns = engine[0], engine[2]
    assert web.pkt_mean == web.stats["packet_lengths"]["mean"] == 519 / 8 == own[0].pkt_mean
    assert web.pkt_kurt == web.stats["packet_lengths"]["kurt"] != 0 and web.iat_cv > 0
    assert (web.pkt_up_count, web.pkt_down_sum, web.app_max) == (5, 200, 49)
    assert dns.iat_mean == dns.iat_skew == 0.0 and "iats" not in dns.stats, "there is none"
    assert web.stats["packet_count"] == 8 and web.stats["up_down_pkt_ratio"] == 5 / 3 and web.stats["duration"] == 0.08


def test_statistics_cannot_be_written_to(mixed: Path) -> None:
    for flow in (one(mixed, bpf_filter="port 80"), one(mixed, bpf_filter="port 80", compute_statistics=False)):
        stats, before = flow.stats, json.dumps(flow.stats)
        changes: list[Callable[[Any], object]] = [
            lambda it: it.update(mean=-1.0),
            lambda it: it.setdefault("mine", 1),
            lambda it: it.pop("mean"),
            lambda it: it.popitem(),
            lambda it: it.clear(),
            lambda it: operator.setitem(it, "mean", -1.0),
            lambda it: operator.delitem(it, "count"),
            lambda it: it.__ior__({"mean": -1.0}),
        ]
        for written in (stats, stats["packet_lengths"], flow.features.statistics["iats"], flow.features.compute_statistics()):
            for change in changes:
                with pytest.raises(TypeError, match="cannot be written to"):
                    change(written)
        assert json.dumps(flow.stats) == before and flow.stats is stats, "nothing is worked out twice"
        # Copies are whose they are.
        for copied in (stats.copy(), dict(stats), stats | {}, flow.features.to_dict()["statistics"], to_dict([flow])[0]["features"]["statistics"]):
            copied["packet_count"] = 0
        flow.features.to_dict()["statistics"]["packet_lengths"]["mean"] = -1.0
        assert json.dumps(flow.stats) == before
        for again in (pickle.loads(pickle.dumps(stats)), copy.deepcopy(stats)):
            assert again == stats and type(again["iats"]) is type(stats)


# Options


def counted(path: Path, **options: Any) -> list[int]:
    return [flow.packet_count for flow in Wa1kPcap(**options).analyze_file(path)]


def test_timeouts_end_flows(tmp_path: Path) -> None:
    udp = traffic.pcap(tmp_path / "udp.pcap", [(t, traffic.udp("10.0.0.1", "10.0.0.2", (1, 2))) for t in (0, 10, 500)])
    assert counted(udp) == counted(udp, udp_timeout=490) == [3]
    assert counted(udp, udp_timeout=10) == [2, 1] and counted(udp, udp_timeout=9.999) == [1, 1, 1]
    tcp = traffic.pcap(tmp_path / "tcp.pcap", [(t, traffic.tcp("10.0.0.1", "10.0.0.2", (1, 2), traffic.ACK)) for t in (0, 300, 601)])
    assert counted(tcp) == [2, 1] and counted(tcp, tcp_cleanup_timeout=0) == [3] and counted(tcp, tcp_cleanup_timeout=10) == [1, 1, 1]


def test_closed_connections_can_be_split(tmp_path: Path) -> None:
    out, back = ("10.0.0.1", "10.1.0.1", (40000, 80)), ("10.1.0.1", "10.0.0.1", (80, 40000))
    refused = [(0.0, traffic.tcp(*out, traffic.SYN, seq=100)), (0.1, traffic.tcp(*back, traffic.RST | traffic.ACK))]
    taken = [(1.0, traffic.tcp(*out, traffic.SYN, seq=5000)), (1.1, traffic.tcp(*back, traffic.SYN | traffic.ACK, seq=900))]
    path = traffic.pcap(tmp_path / "again.pcap", refused + taken)
    assert counted(path) == [4] and counted(path, split_connections=True) == [2, 2]


def test_packets_are_left_out_as_options_say(tmp_path: Path) -> None:
    records = traffic.web(0.0)
    records += [(0.035, records[3][1]), (0.09, traffic.tcp("10.1.0.1", "10.0.0.1", (80, 40000), traffic.RST))]
    path = traffic.pcap(tmp_path / "web.pcap", sorted(records))
    assert counted(path) == [9] and counted(path, filter_retrans=False) == [10]
    assert one(path, filter_retrans=False).metrics.retrans_count == 1 and one(path).metrics.retrans_count == 0
    assert counted(path, filter_rst=True) == [8] and counted(path, filter_ack=True) == [7]
    analyzer = Wa1kPcap(filter_rst=True, filter_ack=True)
    analyzer.analyze_file(path)
    assert analyzer.stats == {"files_processed": 1, "packets_processed": 10, "packets_filtered": 4, "flows_created": 1, "errors": []}
    analyzer.reset_stats()
    assert analyzer.stats["packets_processed"] == 0


def test_filters_take_both_languages(tmp_path: Path, day: Path) -> None:
    assert len(counted(day, bpf_filter="tcp port 80")) == 20 and len(counted(day, bpf_filter="not (tcp) and host 10.1.0.53")) == 100
    assert len(counted(day, bpf_filter="")) == len(counted(day, bpf_filter=" ")) == len(counted(day))
    assert len(counted(day, min_packets=2)) == 20 and len(counted(day, bpf_filter="src 10.0.0.2 or 10.0.0.3")) == 2
    dhcp = [(0.0, traffic.udp("10.0.0.1", "10.0.0.2", (68, 67))), (1.0, traffic.udp("10.0.0.1", "10.0.0.2", (1, 2)))]
    icmp = traffic._ip("10.0.0.1", "10.0.0.2", 1, b"\x08\0\0\0\0\0\0\0")
    path = traffic.pcap(tmp_path / "icmp.pcap", [*dhcp, (2.0, icmp)])
    assert len(counted(path)) == 1 and len(counted(path, default_filter=None)) == len(counted(path, default_filter="")) == 3
    assert len(counted(path, default_filter="not dhcp")) == 2 and len(counted(path, default_filter=None, bpf_filter="dhcp or icmpv6")) == 1
    flags = "tcp[tcpflags] & {} != 0"
    assert counted(day, bpf_filter=flags.format("TCP-SYN")) == counted(day, bpf_filter=flags.format("tcp-syn"))
    assert len(counted(day, bpf_filter="TCP PORT 80 AND NOT Host 10.0.0.1")) == 19 and len(counted(path, default_filter="NOT Dhcp")) == 2
    [flow] = Wa1kPcap(default_filter=None, bpf_filter="icmp").analyze_file(path)
    assert (flow.protocol, flow.key.protocol_name, flow.ext_protocol) == (1, "ICMP", ["IPv4", "ICMP"])


def test_reassembly_can_be_left(tmp_path: Path) -> None:
    path = traffic.pcap(tmp_path / "cut.pcap", hello.connection(0.0, cut=20))
    flow = one(path)
    assert flow.tls is not None and flow.tls.sni == ["a.example"], "across segments"
    alone = one(path, enable_reassembly=False)
    assert alone.tls is None, "a hello that does not stand whole in a packet is none"
    assert alone.packet_count == flow.packet_count
    records = traffic.web(0.0)
    web = traffic.pcap(tmp_path / "web.pcap", records)
    out, request = ("10.0.0.1", "10.1.0.1", (40000, 80)), records[3][1][54:]
    records[3:4] = [(0.03, traffic.tcp(*out, traffic.ACK, request[:20], seq=1)), (0.031, traffic.tcp(*out, traffic.ACK, request[20:], seq=21))]
    halves = traffic.pcap(tmp_path / "halves.pcap", records)
    hosts = [getattr(one(path, enable_reassembly=how).http, "host", None) for path in (web, halves) for how in (True, False)]
    assert hosts == ["a.example", "a.example", "a.example", None]
    datagram = traffic.udp("10.0.0.1", "10.0.0.2", (1, 2), b"x" * 24)
    first, later = bytearray(datagram), bytearray(datagram)
    first[20] |= 0x20
    later[21] = 4
    pieces = traffic.pcap(tmp_path / "pieces.pcap", [(0.0, bytes(first)), (0.1, bytes(later))])
    assert sum(counted(pieces)) == 2 and sum(counted(pieces, enable_reassembly=False)) == 1


def test_the_garbage_collector_is_given_back_as_it_was(mixed: Path) -> None:
    try:
        for enabled in (False, True):
            (gc.enable if enabled else gc.disable)()
            to_dataframe(Wa1kPcap().analyze_file(mixed))
            assert gc.isenabled() is enabled
        with uncollected():
            with uncollected():
                pass
            assert not gc.isenabled(), "one is still under way"
        with pytest.raises(LookupError), uncollected():
            raise LookupError
        assert gc.isenabled()
    finally:
        gc.enable()


def test_packets_come_with_verbose_mode(mixed: Path) -> None:
    flow = Wa1kPcap(verbose_mode=True).analyze_file(mixed)[0]
    packet = flow.packets[3]
    assert packet.wirelen == packet.app_len + 54 == packet.ip_len + 14 and packet.is_client_to_server and packet.packet_index == 3
    assert packet.tcp is not None and packet.tcp.psh and packet.tcp.ack and not packet.tcp.syn and packet.tcp.win == 8192
    assert len(flow.packets_forward()) == 5 and len(flow.packets_reverse()) == 3
    with pytest.raises(AttributeError, match="not their bytes"):
        packet.raw_data
    with pytest.raises(pcap_compactor.Error, match=r"flow\.tls"):
        packet.payload
    with pytest.raises(pcap_compactor.Error, match="verbose_mode=True"):
        Wa1kPcap().analyze_file(mixed)[0].packets


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"save_raw_bytes": True}, "save_raw_bytes = True: .* read bytes with dpkt or scapy"),
        ({"udp_timeout": -1}, "udp_timeout = -1: seconds, 0 for any"),
        ({"tcp_cleanup_timeout": float("nan")}, "tcp_cleanup_timeout = nan"),
        ({"udp_timeout": 1e300}, "udp_timeout"),
        ({"filter_ack": 1}, "filter_ack = 1: True or False"),
        ({"verbose_mode": None}, "verbose_mode = None: True or False"),
        ({"bpf_filter": "tcp prt 80"}, r"^bpf_filter: `prt` cannot follow `tcp`[^(]*\Z"),
        ({"default_filter": "tcp)"}, r"^default_filter: "),
        ({"bpf_filter": "tcp) or (udp"}, "^bpf_filter: this parenthesis was never opened"),
        ({"bpf_filter": "port DHCP"}, r"^bpf_filter: `DHCP` is no port: .*\n  port DHCP\n       \^{4}\Z"),
        ({"bpf_filter": "ip proto gre or udp"}, r"`gre` is no IP protocol: .*\n  ip proto gre or udp\n {11}\^{3}\Z"),
        ({"bpf_filter": " dhcp AND port 70000"}, r"`70000` is no port: .*\n  dhcp AND port 70000\n {16}\^{5}\Z"),
        ({"bpf_filter": "not (gre\tor dhcp"}, r"`\)` is missing\n  not \(gre or dhcp\n {18}\^\Z"),
        ({"bpf_filter": "tls and port 8443"}, "packets are not chosen by tls; .* if flow.tls"),
        ({"bpf_filter": 5}, "bpf_filter = 5: a filter in tcpdump's language"),
        ({"min_packets": "few"}, "min_packets = 'few': a whole number"),
        ({"threads": 0}, "threads = 0"),
    ],
)
def test_options_that_are_not_taken_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(pcap_compactor.OptionError, match=words):
        Wa1kPcap(**options)


def test_options_and_names_of_other_versions_say_what_there_is() -> None:
    for name in ("engine", "enabled_features", "protocols", "app_layer_parsing"):
        with pytest.raises(TypeError, match=f"takes no {name}: "):
            Wa1kPcap(**cast(Any, {name: None}))
    with pytest.raises(TypeError, match="takes no udp_timout"):
        Wa1kPcap(udp_timout=5)  # type: ignore[arg-type]
    with pytest.raises(ImportError, match="tcpdump's language"):
        exec("from pcap_compactor.wa1kpcap import PacketFilter")
    assert Wa1kPcap().save_raw_bytes is False
    assert repr(Wa1kPcap(60, verbose_mode=True, min_packets=2)) == "Wa1kPcap(udp_timeout=60, verbose_mode=True, min_packets=2)"


# Captures


def test_folders_give_a_list_each(day: Path, mixed: Path) -> None:
    (day.parent / "notes.pcap").write_text("no capture, but a text that is long enough to be asked what it is")
    (day.parent / "other.cap").write_bytes(mixed.read_bytes())
    analyzer = Wa1kPcap()
    with pytest.warns(pcap_compactor.DamageWarning, match="notes.pcap"):
        found = analyzer.analyze_directory(day.parent)
    assert {name: len(flows) for name, flows in found.items()} == {"day.pcap": 320, "mixed.pcap": 3}
    assert len(analyzer.stats["errors"]) == 1 and analyzer.stats["files_processed"] == 2
    assert list(analyzer.analyze_directory(day.parent, "*.cap")) == ["other.cap"] and analyzer.analyze_directory(day.parent, "*.x") == {}
    with pytest.raises(FileNotFoundError):
        analyzer.analyze_directory(day.parent / "none")
    with pytest.raises(TypeError, match="each value"):
        to_csv(cast(Any, found), day.parent / "all.csv")


def test_flows_come_as_they_end_and_progress_is_told(day: Path) -> None:
    told: list[tuple[int, int, int, bool]] = []
    analyzer = Wa1kPcap(threads=1, progress=lambda *far: told.append(cast(Any, far)))
    flows = analyzer.iter_file(day)
    assert next(flows).key == analyzer.analyze_file(day)[0].key
    assert told[-1][2:] == (460, True)
    assert len(list(flows)) == 319


def test_a_loop_that_is_left_counts_what_was_read(tmp_path: Path, day: Path) -> None:
    analyzer = Wa1kPcap(udp_timeout=0.001, threads=1)
    for _ in analyzer.iter_file(traffic.large(tmp_path, 300_000)):
        break
    left = analyzer.stats
    assert left["files_processed"] == 0 and 0 < left["packets_processed"] < 300_000 and left["flows_created"] > 0
    analyzer.analyze_file(day)
    assert analyzer.stats["files_processed"] == 1 and analyzer.stats["packets_processed"] == left["packets_processed"] + 460


def test_bad_captures_are_errors_with_their_paths(tmp_path: Path, mixed: Path) -> None:
    analyzer = Wa1kPcap()
    with pytest.raises(FileNotFoundError, match="missing.pcap") as told:
        analyzer.analyze_file(tmp_path / "missing.pcap")
    assert isinstance(told.value, pcap_compactor.InputError) and told.value.path == str(tmp_path / "missing.pcap")
    with pytest.raises(pcap_compactor.InputError, match="analyze_directory"):
        analyzer.analyze_file(tmp_path)
    (tmp_path / "notes").write_text("no capture, but a text that is long enough to be asked what it is")
    with pytest.raises(pcap_compactor.InputError, match="notes"):
        analyzer.analyze_file(tmp_path / "notes")
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(mixed.read_bytes()[:-5])
    with pytest.warns(pcap_compactor.DamageWarning, match="truncated"):
        assert len(analyzer.analyze_file(cut)) == 2
    empty = traffic.pcap(tmp_path / "empty.pcap", [])
    assert analyzer.analyze_file(empty) == []
    assert to_dict([]) == [] and len(to_dataframe([])) == 0
    assert to_dataframe([]).columns.tolist() == to_dataframe(analyzer.analyze_file(mixed)).columns.tolist()
    to_csv([], tmp_path / "empty.csv")
    to_json([], tmp_path / "empty.json")
    assert json.loads((tmp_path / "empty.json").read_text()) == []


# Export


def test_frames_have_rows_of_any_flows(day: Path) -> None:
    flows = Wa1kPcap().analyze_file(day)
    some = [flows[300], flows[2], flows[2]] + Wa1kPcap(compute_statistics=False).analyze_file(day)[:2]
    frame = to_dataframe(some)
    assert frame["key"].tolist() == [str(flow.key) for flow in some]
    assert frame["feature.packet_lengths"].iloc[1] == flows[2].packet_lengths.tolist()
    assert not frame["feature.packet_lengths.mean"].isna().any()
    web = to_dataframe([flow for flow in flows if flow.http])
    assert web["http"].iloc[0] == {"host": "a.example", "user_agent": None} and web["tls"].iloc[0] is None
    assert web["ext_protocol"].iloc[0] == ["IPv4", "TCP", "HTTP"] and web["feature.iats.count"].dtype.kind == "i"
    assert len(to_dataframe(flows, include_features=False).columns) == 19
    assert len(to_dataframe(iter(flows))) == 320
    web.loc[0, "packet_count"] = 5
    assert web["packet_count"].tolist()[0] == 5, "it can be written to"


def test_columns_that_are_alike_are_apart_when_one_is_written_to(day: Path) -> None:
    one, other = "feature.app_lengths.mean", "feature.payload_bytes.mean"
    flows = Wa1kPcap().analyze_file(day)
    for some in (flows, flows[::-1]):
        frame, same = to_dataframe(some), to_dataframe(some)
        # Before pandas 3 a frame's columns are its own.
        lazy = int(pandas.__version__.partition(".")[0]) >= 3
        assert numpy.shares_memory(frame[one].to_numpy(), frame[other].to_numpy()) == lazy
        frame.loc[0, one] = -1.0
        assert frame[one].tolist() == [-1.0, *same[one].tolist()[1:]] and frame[other].equals(same[other])
        frame[other] += 1
        assert frame[one].tolist()[1:] == same[one].tolist()[1:]
        assert same.equals(to_dataframe(some)), "flows are what they were"


def test_columns_are_alike_where_all_that_they_point_to_is() -> None:
    numbers, ends = pyarrow.array([1, 2, 3, 4]), pyarrow.array([0, 1, 2], pyarrow.int32())
    lists = [pyarrow.ListArray.from_arrays(ends, numbers[some]) for some in (slice(0, 3), slice(1, 4), slice(0, 3))]
    indices, words = pyarrow.array([0, 1], pyarrow.int32()), [pyarrow.array(["x", "y"]), pyarrow.array(["p", "q"])]
    coded = [pyarrow.DictionaryArray.from_arrays(indices, some) for some in (*words, words[0])]
    pairs = pyarrow.StructArray.from_arrays([numbers], ["n"])
    for three in (lists, coded, [numbers[:2], numbers[2:], numbers[:2]]):
        assert list(first_alike(pyarrow.table(three, names=["a", "b", "c"])).values()) == ["a", "b", "a"]
    assert first_alike(pyarrow.table([pairs, pairs], names=["a", "b"])) == {"a": "a", "b": "b"}, "not looked into"


def test_files_say_what_flows_say(mixed: Path, tmp_path: Path) -> None:
    flows = Wa1kPcap().analyze_file(mixed)
    exporter = FlowExporter(include_features=True)
    for name in ("flows.csv", "flows.json", "flows.parquet"):
        exporter.save(flows, tmp_path / name)
    assert json.loads((tmp_path / "flows.json").read_text()) == to_dict(flows)
    expected = json.dumps(to_dict(flows), indent=2)
    assert (tmp_path / "flows.json").read_text() == expected
    to_json(flows, tmp_path / "tight.json", indent=None)
    assert (tmp_path / "tight.json").read_text() == json.dumps(to_dict(flows))
    frame = pandas.read_csv(tmp_path / "flows.csv")
    assert frame.columns.tolist() == to_dataframe(flows).columns.tolist() == pyarrow.parquet.read_table(tmp_path / "flows.parquet").column_names
    assert eval(frame["feature.packet_lengths"][0]) == flows[0].packet_lengths.tolist() and eval(frame["tls"][1])["sni"] == ["a.example"]
    with pytest.raises(ValueError, match=r"ends in one of \.csv, \.json, \.parquet"):
        exporter.save(flows, tmp_path / "flows.xml")
    flat = to_list_of_dicts(flows, flatten_features=True)[0]
    assert flat["feature.statistics.packet_lengths.mean"] == flows[0].pkt_mean and flat["feature.timestamps"] == flows[0].timestamps.tolist()
    assert FlowExporter(flatten_features=True).to_dict(flows)[0] == flat
    assert FlowExporter(include_features=False).to_dict(flows) == [flow.to_dict() for flow in flows]
    to_csv(flows, tmp_path / "base.csv", include_features=False)
    assert len(pandas.read_csv(tmp_path / "base.csv").columns) == 19


# Features of one's own


class Bursts(BaseIncrementalFeature):
    """Turns of direction."""

    def __init__(self) -> None:
        super().__init__("bursts", FeatureType.STATISTICAL)

    def initialize(self, flow: Flow) -> None:
        self.turns, self.last = 0, None

    def update(self, flow: Flow, pkt: ParsedPacket) -> None:
        self.turns += self.last is not None and pkt.is_client_to_server != self.last
        self.last = cast(Any, pkt.is_client_to_server)

    def get_value(self, flow: Flow) -> int:
        return self.turns


def test_features_of_ones_own_are_worked_out_and_exported(mixed: Path, tmp_path: Path) -> None:
    analyzer = Wa1kPcap()
    analyzer.register_feature("bursts", Bursts())
    analyzer.register_feature("share_up", lambda flow: flow.metrics.up_byte_count / flow.byte_count)
    flows = analyzer.analyze_file(mixed)
    assert flows[0].get_features() == {"bursts": 6, "share_up": 319 / 519}
    frame = to_dataframe(flows)
    assert frame.columns[-2:].tolist() == ["feature.bursts", "feature.share_up"]
    assert frame["feature.bursts"].tolist() == [6, 3, 0] and frame["feature.share_up"].dtype == float
    FlowExporter().save(flows, tmp_path / "own.csv")
    FlowExporter().save(flows, tmp_path / "own.parquet")
    assert pandas.read_csv(tmp_path / "own.csv")["feature.bursts"].tolist() == [6, 3, 0]
    assert pyarrow.parquet.read_table(tmp_path / "own.parquet")["feature.bursts"].to_pylist() == [6, 3, 0]
    assert to_dict(flows)[0]["features"]["bursts"] == 6
    assert Wa1kPcap().analyze_file(mixed)[0].get_features() == {}


def test_features_can_be_for_every_analyzer(mixed: Path) -> None:
    @register_feature("tcp_push_ratio", FeatureType.STATISTICAL, description="packets with PSH of all")
    def ratio(flow: Flow) -> float:
        return flow.metrics.psh_count / flow.packet_count

    try:
        assert list_features() == {"tcp_push_ratio": (FeatureType.STATISTICAL, "packets with PSH of all")}
        flow = Wa1kPcap().analyze_file(mixed)[0]
        assert flow.get_features() == {"tcp_push_ratio": 2 / 8} and ratio(flow) == 2 / 8
        flow.register_incremental_feature("bursts", Bursts())
        assert flow.feature_values == {"tcp_push_ratio": 2 / 8, "bursts": 6}
    finally:
        assert unregister_feature("tcp_push_ratio") and not unregister_feature("tcp_push_ratio")


def test_what_a_feature_raises_names_it(mixed: Path) -> None:
    analyzer = Wa1kPcap()
    analyzer.register_feature("broken", lambda flow: 1 // 0)
    with pytest.raises(ZeroDivisionError) as raised:
        to_dataframe(analyzer.analyze_file(mixed))
    assert "in feature 'broken' of <Flow 10.0.0.1" in raised.value.__notes__[0]
    with pytest.raises(pcap_compactor.OptionError, match="neither a function of a flow nor"):
        analyzer.register_feature("five", cast(Any, 5))
    with pytest.raises(pcap_compactor.OptionError, match="dependencies"):
        register_feature("waits", dependencies=["other"])


def test_no_column_can_be_there_twice(mixed: Path) -> None:
    analyzer = Wa1kPcap()
    flows = analyzer.analyze_file(mixed)
    names = [*to_dataframe(flows).columns, *to_list_of_dicts(flows, flatten_features=True)[0]]
    for name in [name.removeprefix("feature.") for name in names if name.startswith("feature.")]:
        with pytest.raises(pcap_compactor.OptionError, match="every flow has a feature of that name"):
            analyzer.register_feature(name, lambda flow: 5)
    # These lie beside features, and those of one's own among them.
    analyzer.register_feature("src_ip", lambda flow: 5)


@pytest.mark.parametrize("name", ["packet_lengths", "tcp_window", "tcp_window.skew", "statistics", "packet_count"])
def test_features_of_ones_own_hide_none_of_the_flow(mixed: Path, name: str) -> None:
    analyzer = Wa1kPcap()
    with pytest.raises(pcap_compactor.OptionError, match="every flow has a feature of that name"):
        analyzer.register_feature(name, lambda flow: 5)
    with pytest.raises(pcap_compactor.OptionError, match="every flow has a feature of that name"):
        register_feature(name, processor=lambda flow: 5)
    with pytest.raises(pcap_compactor.OptionError, match="every flow has a feature of that name"):
        analyzer.analyze_file(mixed)[0].register_incremental_feature(name, lambda flow: 5)


def test_a_column_of_parquet_has_one_kind(mixed: Path, tmp_path: Path) -> None:
    analyzer = Wa1kPcap()
    analyzer.register_feature("some", lambda flow: flow.packet_count if flow.packet_count > 5 else "few")
    flows = analyzer.analyze_file(mixed)
    with pytest.raises(pcap_compactor.OptionError, match="feature.some: its values have no kind in common"):
        FlowExporter().save(flows, tmp_path / "own.parquet")


def test_what_the_original_has_besides_says_what_there_is(mixed: Path) -> None:
    flows = Wa1kPcap().analyze_file(mixed)
    flow, dns = next(flow for flow in flows if flow.tls), next(flow for flow in flows if flow.dns)
    for owner, name, words in [
        (flow, "is_closed", "end_reason"),
        (flow, "tcp_state", "split_connections"),
        (flow, "layers", "tls, http, dns and quic"),
        (flow, "build_ext_protocol", "ext_protocol"),
        (dns.dns, "is_query", "query_count and response_count"),
        (dns.dns, "is_response", "query_count and response_count"),
        (dns.dns, "answer_count", "answers has those"),
        (flow.tls, "exts", "extensions has their numbers"),
        (flow.tls, "content_type", "of one record"),
    ]:
        with pytest.raises(AttributeError, match=f"has no attribute '{name}': .*{words}"):
            getattr(owner, name)
        assert not hasattr(owner, name)


def test_flows_without_statistics_have_them_beside_others(mixed: Path) -> None:
    with_all, without = (Wa1kPcap(compute_statistics=some).analyze_file(mixed) for some in (True, False))
    frame, alone = to_dataframe([*with_all, *without]), to_dataframe(with_all)
    assert frame.columns.tolist() == alone.columns.tolist()
    statistics = [name for name in alone.columns if name.count(".") == 2]
    assert len(statistics) > 100
    pandas.testing.assert_frame_equal(frame[statistics][len(with_all) :].reset_index(drop=True), alone[statistics])


def test_a_forked_child_does_not_wait_for_its_parents_engine(tmp_path: Path) -> None:
    code = """
import os, sys
from pcap_compactor import Error, flows_table
from pcap_compactor.wa1kpcap import Wa1kPcap
passes = [iter(flows_table(sys.argv[1])), iter(flows_table(sys.argv[1]).batches()), Wa1kPcap().iter_file(sys.argv[1])]
for one in passes:
    next(one)
child = os.fork()
if child == 0:
    told = 0
    for one in passes:
        try:
            # The rest of the batch is there.
            for _ in one:
                pass
        except Error as error:
            told += "before the process was forked" in str(error)
    os._exit(told)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(passes)
print([sum(getattr(some, "num_rows", 1) for some in one) for one in passes])
"""
    capture = traffic.large(tmp_path, 60_000)
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code, capture], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("["), run.stdout


def test_a_table_of_flows_says_what_all_of_them_were_made_with(mixed: Path, tmp_path: Path) -> None:
    def said(*analyzers: Wa1kPcap) -> dict[str, Any] | None:
        FlowExporter().to_parquet([flow for analyzer in analyzers for flow in analyzer.analyze_file(mixed)], tmp_path / "flows.parquet")
        metadata = pyarrow.parquet.read_schema(tmp_path / "flows.parquet").metadata
        assert metadata[b"pcap_compactor.dialect"] == b"wa1kpcap"
        settings = metadata.get(b"pcap_compactor.settings")
        return None if settings is None else cast("dict[str, Any]", json.loads(settings))

    usual = said(Wa1kPcap())
    assert usual is not None and "no_dialect_filter" not in usual and said(Wa1kPcap(), Wa1kPcap()) == usual
    assert said(Wa1kPcap(default_filter=None)) == usual | {"no_dialect_filter": True}
    assert said(Wa1kPcap(), Wa1kPcap(filter_retrans=False)) is None
