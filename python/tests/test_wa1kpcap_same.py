"""Flows in wa1kpcap's manner are the command line's of that dialect, and those that wa1kpcap 0.2.0 wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import traffic
from conftest import SHARED, left_out, peak, shared
from pcap_compactor import InputError
from pcap_compactor.wa1kpcap import Flow, Wa1kPcap, to_csv

pytestmark = pytest.mark.filterwarnings("ignore::pcap_compactor.DamageWarning")

REFERENCE = SHARED / "reference" / "wa1kpcap"
#: Captures that the engine and the original read alike: the command line's tests say where they differ, and why.
ALIKE = "single fin-rst quic icmp-tunnel tls_2_reasms_b tls_missing_ch_frag".split()
SYNTHETIC = "eth_padding gre icmp loop108 nflog239 raw101 selfflow sll113 sll2_276 tcp_two_conns_same_tuple udp_gap".split()


def check_csv(cli: Path, capture: Path, folder: Path, named: list[str], **options: Any) -> int:
    command: list[str | Path] = [cli, "flows", "--quiet", "--dialect", "wa1kpcap", *named, capture]
    run = subprocess.run(command, capture_output=True)
    assert run.returncode in (0, 1, 3), run.stderr
    if run.returncode == 1:
        with pytest.raises(InputError):
            Wa1kPcap(**options).analyze_file(capture)
        return 0
    flows = Wa1kPcap(tcp_cleanup_timeout=0, **options).analyze_file(capture)
    to_csv(flows, folder / "ours.csv")
    assert (folder / "ours.csv").read_bytes() == run.stdout, capture
    return len(flows)


def test_csv_is_that_of_the_command_line_byte_for_byte(cli: Path, corpus: list[Path], day: Path, tmp_path: Path) -> None:
    assert check_csv(cli, day, tmp_path, []) == 320
    assert sum(check_csv(cli, capture, tmp_path, []) for capture in corpus) > 100
    for capture in corpus[:5]:
        check_csv(cli, capture, tmp_path, ["--udp-timeout=0.5", "--no-rst", "--no-pure-acks"], udp_timeout=0.5, filter_rst=True, filter_ack=True)
        check_csv(cli, capture, tmp_path, ["--filter=port 443", "--min-packets=3"], bpf_filter="port 443", min_packets=3)


def references() -> list[tuple[Path, Path]]:
    pairs = [(REFERENCE / "captures", REFERENCE / "v0.2.0_native", name) for name in ALIKE]
    pairs += [(REFERENCE / "captures_synthetic", REFERENCE / "v0.2.0_native_synthetic", name) for name in SYNTHETIC]
    found = [(next(captures.glob(f"{name}.pcap*"), None), told) for captures, told, name in pairs]
    known = [(capture, told) for capture, told in found if capture is not None]
    if len(known) < len(pairs):
        left_out(f"no references in {REFERENCE}: set PCAP_COMPACTOR_CORPUS")
    return known


@pytest.mark.parametrize(("kind", "options"), [("default", {}), ("nofilter", {"default_filter": None, "filter_retrans": False})])
def test_flows_say_what_wa1kpcap_said(kind: str, options: dict[str, Any]) -> None:
    checked = 0
    for capture, folder in references():
        told = json.loads((folder / f"{capture.name}.{kind}.full.json").read_text())["flows"]
        ours = {str(flow.key): flow for flow in Wa1kPcap(tcp_cleanup_timeout=0, **options).analyze_file(capture)}
        assert sorted(ours) == sorted(flow["key"] for flow in told), capture
        for theirs in told:
            same(ours[theirs["key"]], theirs)
            checked += 1
    assert checked >= 25


def same(flow: Flow, told: dict[str, Any]) -> None:
    """Our flow against a dump of all that an object of the original had."""
    assert flow.start_time == pytest.approx(told["start_time"], abs=1e-6) and flow.duration == pytest.approx(told["duration"], abs=1e-6)
    assert flow.protocol == told["protocol"]
    for name, count in told["metrics"].items():
        # A hole that is filled is never counted there, nor is a window of 0 the least.
        if name not in ("out_of_order_count", "retrans_count", "min_window"):
            assert getattr(flow.metrics, name) == count, (flow, name)
    for name, values in told.items():
        if name.startswith("seq."):
            sequence = getattr(flow.features, name.removeprefix("seq."))
            if name == "seq.payload_bytes" and flow.proto == "UDP":
                assert set(values) <= {0}, "it is always 0 there"
            else:
                assert numpy.allclose(sequence, values, atol=1e-6) and len(sequence) == len(values), (flow, name)
    for block, found in told["stats"].items():
        if block == "payload_bytes" and flow.proto == "UDP":
            continue
        ours = flow.stats[block]
        if isinstance(found, dict):
            assert {name: ours[name] for name in found} == pytest.approx(found, rel=1e-5, abs=1e-6), (flow, block)
        else:
            assert ours == pytest.approx(found, rel=1e-5, abs=1e-6)
    if told.get("tls"):
        assert flow.tls is not None
        for name in ("sni", "cipher_suites", "cipher_suite", "supported_groups", "signature_algorithms"):
            if told["tls"][name]:
                assert getattr(flow.tls, name) == told["tls"][name], (flow, name)


def test_certificates_are_those_that_the_first_version_read() -> None:
    path = shared("reference/wa1kpcap/seed_commit_4136d54_dpkt/single.pcap.dpkt.full.json")
    [told] = json.loads(path.read_text())["flows"]
    [flow] = Wa1kPcap().analyze_file(REFERENCE / "captures" / "single.pcap")
    assert flow.tls is not None and flow.tls.certificate is not None and len(flow.tls.certificates) == 2
    for ours, theirs in zip(flow.tls.certificates, told["tls"]["certificates"], strict=True):
        assert {name: ours[name] for name in theirs} == theirs
    assert flow.tls.certificate == flow.tls.certificates[0]
    assert flow.tls.certificate["san"] == ["*.miui.com", "miui.com"]


MEMORY = """
import resource, sys
from pcap_compactor.wa1kpcap import Wa1kPcap
n = 0
for flow in Wa1kPcap(udp_timeout=0.01, threads=2).iter_file(sys.argv[1]):
    n += flow.packet_count
print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_iteration_holds_few_flows(tmp_path: Path) -> None:
    small, fivefold = (peak(MEMORY, traffic.large(tmp_path, flows), flows) for flows in (50_000, 250_000))
    assert fivefold < small + 80_000, (small, fivefold)


WITHOUT = """
import sys
sys.modules["numpy"] = sys.modules["pandas"] = None
from pcap_compactor.wa1kpcap import Wa1kPcap, to_dataframe
flows = Wa1kPcap().analyze_file(sys.argv[1])
print(flows[0].key, flows[0].pkt_mean)
for ask in (lambda: flows[0].features.iats, lambda: to_dataframe(flows)):
    try:
        ask()
    except ImportError as error:
        print(error)
"""


def test_libraries_are_asked_for_when_they_are_needed(tmp_path: Path) -> None:
    capture = traffic.pcap(tmp_path / "web.pcap", traffic.web(0.0))
    run = subprocess.run([sys.executable, "-c", WITHOUT, capture], capture_output=True, text=True, check=True)
    first, *errors = run.stdout.splitlines()
    assert first == "10.0.0.1:40000 -> 10.1.0.1:80 (TCP) 64.875"
    assert errors == [
        f"{what}, which is not installed: pip install 'pcap-compactor[wa1kpcap]'" for what in ("flow.features needs numpy", "to_dataframe needs pandas")
    ]
