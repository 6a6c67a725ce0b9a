"""The configuration: the original's fields, defaults and bounds."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy
import pytest

import traffic
from pcap_compactor import ConfigError, Error, PipelineConfig, _core, groups_table


def test_fields_and_defaults_are_the_originals() -> None:
    cfg = PipelineConfig()
    originals: dict[str, Any] = {
        "window_seconds": 3600,
        "idle_split_seconds": 120,
        "unknown_service_label": "unknown",
        "service_port_map": {80: "http", 8080: "http", 21: "ftp", 445: "smb", 22: "ssh", 53: "dns"},
        "scan_unique_dsts_threshold": 50,
        "iforest_contamination": 0.14,
        "iforest_estimators": 256,
        "iforest_random_state": 42,
        "count_log_base": 2.0,
        "duration_log_base": 2.0,
        "http_uri_token_budget": 40,
        "emitter_queue_capacity": 50000,
        "emitter_backpressure_policy": "block",
    }
    assert {name: cfg.model_dump()[name] for name in originals} == originals
    assert len(cfg.http_always_keep_lexicon) == 15


def test_the_engine_has_the_same_fields_and_defaults() -> None:
    engine = json.loads(_core.default_config())
    ours = json.loads(json.dumps(PipelineConfig().model_dump()))
    assert ours == engine


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("window_seconds", [1, 10**9, 60.0], [0, -1, 10**9 + 1, "an hour", 1.5, True, None]),
        ("iforest_contamination", [0, 0.0, 0.5], [-0.1, 0.51, float("nan"), "0.1"]),
        ("iforest_estimators", [32], [31]),
        ("iforest_random_state", [0, None, 2**63 - 1], [-1, 2**63]),
        ("count_log_base", [1.01, 10], [1.0, float("inf")]),
        ("http_uri_token_budget", [1], [0]),
        ("emitter_queue_capacity", [1024], [1023]),
        ("emitter_backpressure_policy", ["block", "drop_oldest"], ["drop_newest"]),
        ("unknown_service_label", ["unknown"], ["other"]),
        ("service_port_map", [{}, {1: "a"}, {"1": "a"}], [{70000: "a"}, {1: ""}, {1: 2}, 5]),
        ("http_always_keep_lexicon", [(), ["a"], {"a"}], [[""], [5], object()]),
    ],
)
def test_bounds_hold_and_errors_name_the_field(field: str, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        getattr(PipelineConfig(**{field: value}), field)
    for value in refused:
        with pytest.raises(ConfigError) as told:
            PipelineConfig(**{field: value})
        head, name, what = str(told.value).split("\n")
        assert head == "1 validation error for PipelineConfig" and name == field
        assert f"input_type={type(value).__name__}]" in what
        assert told.value.errors()[0]["loc"] == (field,)


def test_unknown_fields_are_refused_and_all_mistakes_are_told() -> None:
    with pytest.raises(ConfigError) as told:
        PipelineConfig(window=5, iforest_contamination=0.6)  # type: ignore[call-arg]
    text = str(told.value)
    assert text.startswith("2 validation errors for PipelineConfig\nwindow\n  unknown field `window`, expected one of")
    assert "iforest_contamination = 0.6 is out of bounds: 0 to 0.5 [input_value=0.6, input_type=float]" in text
    assert isinstance(told.value, ValueError) and isinstance(told.value, Error)


def test_it_is_frozen_equal_by_value_and_copied_with_changes() -> None:
    cfg = PipelineConfig(window_seconds=60)
    with pytest.raises(AttributeError, match="frozen"):
        cfg.window_seconds = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        delattr(cfg, "window_seconds")
    with pytest.raises(TypeError):
        cfg.service_port_map[1] = "x"  # type: ignore[index]
    other = cfg.model_copy(update={"bytes": "captured"})
    assert other.window_seconds == 60 and other.bytes == "captured" and cfg.bytes == "wire"
    assert cfg == PipelineConfig(window_seconds=60) != other and len({cfg, PipelineConfig(window_seconds=60), other}) == 2
    assert repr(other) == "PipelineConfig(window_seconds=60, bytes='captured')" and eval(repr(other)) == other
    assert pickle.loads(pickle.dumps(other)) == other
    with pytest.raises(ConfigError):
        cfg.model_copy(update={"iforest_estimators": 1})


def test_a_file_is_read_as_the_command_line_does(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("window_seconds = 60\n[service_port_map]\n9 = 'discard'\n")
    assert PipelineConfig.load(file) == PipelineConfig(window_seconds=60, service_port_map={9: "discard"})
    file.write_text("window = 60")
    with pytest.raises(Error, match="settings.toml: line 1: unknown field `window`"):
        PipelineConfig.load(file)


def test_classes_that_are_derived_have_its_fields_and_their_own(tmp_path: Path) -> None:
    class Site(PipelineConfig):
        site: str = "north"
        limits: ClassVar[tuple[int, ...]] = (1, 2)

    site = Site(window_seconds=60, site="south")
    assert (site.window_seconds, site.site, site.limits) == (60, "south", (1, 2))
    assert site.model_dump() == PipelineConfig(window_seconds=60).model_dump() | {"site": "south"}
    assert repr(site) == "Site(window_seconds=60, site='south')"
    assert site.model_copy(update={"site": "east"}) == Site(window_seconds=60, site="east") != site
    assert copy.deepcopy(site) == site != Site(site="south")
    day = traffic.day(tmp_path)
    assert groups_table(day, config=site).to_arrow().equals(groups_table(day, config={"window_seconds": 60}).to_arrow())
    with pytest.raises(ConfigError, match="window_seconds"):
        Site(window_seconds=0)
    with pytest.raises(ConfigError, match="other"):
        Site(**cast(Any, {"other": 1}))
    with pytest.raises(TypeError, match="Empty.field needs a default"):

        class Empty(PipelineConfig):
            field: int


def test_numbers_of_numpy_are_numbers() -> None:
    cfg = PipelineConfig(window_seconds=cast(Any, numpy.int64(60)), count_log_base=cast(Any, numpy.float32(3)))
    assert (cfg.window_seconds, cfg.count_log_base) == (60, 3.0) and type(cfg.window_seconds) is int
    with pytest.raises(ConfigError, match="truth value"):
        PipelineConfig(window_seconds=cast(Any, numpy.True_))


def test_mistakes_are_told_in_pythons_words() -> None:
    with pytest.raises(TypeError, match=r"fields by their names, as PipelineConfig\(window_seconds=60\)"):
        PipelineConfig(60)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="expected a whole number from 0 on") as raised:
        PipelineConfig(iforest_estimators="many")  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value) and again.errors() == raised.value.errors()
