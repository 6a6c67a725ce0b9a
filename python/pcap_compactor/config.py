"""The settings of groups and scans: the original's under their names, and the engine's own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Never, Self, dataclass_transform

from . import _core
from .errors import ConfigError, OptionError
from .scalars import plain

_LEXICON: tuple[str, ...] = tuple(json.loads(_core.default_config())["http_always_keep_lexicon"])
_SERVICES: Mapping[int, str] = MappingProxyType(
    {80: "http", 8080: "http", 21: "ftp", 445: "smb", 22: "ssh", 53: "dns"}
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Frozen:
    """Fields by annotation, with defaults; set once."""

    _names: ClassVar[tuple[str, ...]] = ()
    _of_engine: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = [name for name, kind in cls.__annotations__.items() if not name.startswith("_") and "ClassVar" not in str(kind)]
        for name in own:
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__}.{name} needs a default, as every field of a configuration has one")
        cls._names = tuple(dict.fromkeys((*cls._names, *own)))
        # Fields of the first class are the engine's; what is derived from it may have more, which are its own.
        cls._of_engine = cls._of_engine or cls._names

    def __init__(self, *places: Never, **given: Any) -> None:
        if places:
            kind, field = type(self).__name__, self._names[0]
            raise TypeError(f"{kind} takes its fields by their names, as {kind}({field}={places[0]!r})")
        errors: list[dict[str, Any]] = []
        values = {name: getattr(type(self), name) for name in self._names}
        for name, value in given.items():
            is_own = name in values and name not in self._of_engine
            try:
                values[name] = value if is_own else _read(name, plain(value))
            except OptionError as error:
                errors.append({"loc": (name,), "msg": str(error), "input": value})
        if errors:
            raise ConfigError(type(self).__name__, errors)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        kind = type(self).__name__
        raise AttributeError(f"a {kind} is frozen; model_copy(update={{'{name}': ...}}) makes another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is frozen")


class PipelineConfig(_Frozen):
    """What ``run_hour`` and ``groups_table`` may be told. Frozen; unknown fields and values out of bounds raise :class:`ConfigError`.

    ``model_copy(update={...})`` makes another one. A class that is derived from it has its fields, and may have more with defaults, which the
    engine does not look at.
    """

    #: Length of a tumbling window, from the epoch; 1 to 10^9. ``run_hour`` has its window from its arguments.
    window_seconds: int = 3600
    #: A longer gap ends a slice; 0 to 10^9.
    idle_split_seconds: int = 120
    #: Only this.
    unknown_service_label: Literal["unknown"] = "unknown"
    #: Service by destination port.
    service_port_map: Mapping[int, str] = _SERVICES
    #: A source with more distinct destinations is a scan candidate.
    scan_unique_dsts_threshold: int = 50
    #: Or with more distinct ports on one destination.
    scan_unique_ports_threshold: int = 100
    #: ``guarded`` collapses candidates whose contacts mostly failed, ``original`` the majority that the forest finds.
    scan_policy: Literal["guarded", "original"] = "guarded"
    #: Share of candidates that the isolation forest calls outliers; 0 to 0.5.
    iforest_contamination: float = 0.14
    #: Trees; 32 to 100,000.
    iforest_estimators: int = 256
    #: Seed of everything random; with ``None`` each run draws one.
    iforest_random_state: int | None = 42
    #: Base of count and byte tokens; 1.01 to 10^6.
    count_log_base: float = 2.0
    #: Base of the duration token; 1.01 to 10^6.
    duration_log_base: float = 2.0
    #: Tokens of HTTP targets that a group keeps, in expectation; 1 to 100,000.
    http_uri_token_budget: int = 40
    #: Entries that are kept beyond that.
    http_always_keep_lexicon: tuple[str, ...] = _LEXICON
    #: Groups that may wait for the sink; 1024 to 10^8.
    emitter_queue_capacity: int = 50_000
    #: What happens when so many wait: the engine waits, or the oldest is dropped and counted, as ``groups_dropped`` in the metrics.
    emitter_backpressure_policy: Literal["block", "drop_oldest"] = "block"
    #: Which length counts as a packet's bytes.
    bytes: Literal["wire", "captured"] = "wire"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file of TOML, as ``pcap-compactor config`` prints one."""
        return cls(**json.loads(_core.load_config(os.fspath(path))))

    def model_dump(self) -> dict[str, Any]:
        """The fields as a dictionary."""
        return {name: _plain(getattr(self, name)) for name in self._names}

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Another one that differs in these fields, which are checked."""
        return type(self)(**(self.model_dump() | dict(update or {})))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PipelineConfig) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(json.dumps(self.model_dump(), sort_keys=True))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.model_dump().items())

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.model_dump())

    def __repr__(self) -> str:
        told = (f"{name}={value!r}" for name, value in self if value != _plain(getattr(type(self), name)))
        return f"{type(self).__name__}({', '.join(told)})"


def _made(kind: type[PipelineConfig], fields: dict[str, Any]) -> PipelineConfig:
    return kind(**fields)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _read(name: str, value: Any) -> Any:
    """A field's value, checked by the engine."""
    if name == "iforest_random_state" and value is None:
        return None
    if name not in _FLOATS and isinstance(value, float) and value.is_integer():
        return _read(name, int(value))
    if isinstance(value, bool):
        raise OptionError("a truth value is none of its kind")
    try:
        _core.check_config(json.dumps({name: _json(value)}, allow_nan=False))
    except (TypeError, ValueError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"{name} has a value of no kind that is taken") from None
    if isinstance(value, Mapping):
        return MappingProxyType({int(port): service for port, service in value.items()})
    if name == "http_always_keep_lexicon":
        entries: list[str] = _json(value)
        return tuple(entries)
    return float(value) if name in _FLOATS else value


_FLOATS = {"iforest_contamination", "count_log_base", "duration_log_base"}


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): text for key, text in value.items()}
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def to_json(config: PipelineConfig | Mapping[str, Any]) -> str:
    """A configuration as the engine reads it."""
    config = config if isinstance(config, PipelineConfig) else PipelineConfig(**config)
    fields = {name: _json(getattr(config, name)) for name in PipelineConfig._names}
    if fields["iforest_random_state"] is None:
        # What is behind it takes longer to import than all of this package.
        import secrets

        fields["iforest_random_state"] = secrets.randbits(63)
    return json.dumps(fields)
