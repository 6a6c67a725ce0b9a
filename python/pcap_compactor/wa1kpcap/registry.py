"""Features of one's own: functions of a flow, or processors that see its packets one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from ..errors import OptionError
from .features import SEQUENCES, WHOLE
from .figures import BLOCKS, ENGINE, SHAPE

if TYPE_CHECKING:
    from .flow import Flow
    from .packet import ParsedPacket


class FeatureType(Enum):
    """What kind of feature it is; it is only told, in :func:`list_features`."""

    SEQUENCE = "sequence"
    STATISTICAL = "statistical"
    CATEGORICAL = "categorical"
    BINARY = "binary"
    CUSTOM = "custom"
    INCREMENTAL = "incremental"


class BaseIncrementalFeature(ABC):
    """A feature that is worked out packet by packet. The flow is whole already when it begins."""

    def __init__(self, name: str, feature_type: FeatureType = FeatureType.INCREMENTAL) -> None:
        self.name = name
        self.feature_type = feature_type

    @abstractmethod
    def initialize(self, flow: Flow) -> None:
        """Begins a flow; state may be kept in attributes of the flow."""

    @abstractmethod
    def update(self, flow: Flow, pkt: ParsedPacket) -> None:
        """Takes the next packet."""

    @abstractmethod
    def get_value(self, flow: Flow) -> Any:
        """The feature's value, after the last packet."""


Function: TypeAlias = "Callable[[Flow], Any]"
Processor: TypeAlias = "BaseIncrementalFeature | Callable[[Flow], Any]"
_F = TypeVar("_F", bound="Callable[[Flow], Any]")

_METHODS = ("initialize", "update", "get_value")
#: Names that features of the flow itself have, in frames or dictionaries; in flat ones also whatever begins with ``statistics.``.
TAKEN = frozenset([*SEQUENCES, *BLOCKS, *WHOLE, "statistics", *(f"{block}.{name}" for block in BLOCKS for name in [*ENGINE, *SHAPE])])
#: Those for flows of every analyzer.
_everywhere: dict[str, tuple[Any, FeatureType, str]] = {}


def checked(name: str, processor: Any) -> Any:
    """A processor as it is, if it is one."""
    if not isinstance(name, str) or not name:
        raise OptionError(f"name = {name!r}: the name of a feature is a text")
    if name in TAKEN or name.startswith("statistics."):
        raise OptionError(f"name = {name!r}: every flow has a feature of that name; choose another one")
    if all(callable(getattr(processor, method, None)) for method in _METHODS) or callable(processor):
        return processor
    methods = ", ".join(_METHODS)
    raise OptionError(f"feature {name!r}: {processor!r} is neither a function of a flow nor a BaseIncrementalFeature, which has {methods}")


@overload
def register_feature(
    name: str, feature_type: FeatureType = ..., dependencies: list[str] | None = ..., description: str = ..., *, processor: Processor
) -> None: ...
@overload
def register_feature(
    name: str, feature_type: FeatureType = ..., dependencies: list[str] | None = ..., description: str = ...
) -> Callable[[_F], _F]: ...
def register_feature(
    name: str,
    feature_type: FeatureType = FeatureType.CUSTOM,
    dependencies: list[str] | None = None,
    description: str = "",
    *,
    processor: Processor | None = None,
) -> Any:
    """Registers a feature for flows of every analyzer; without ``processor`` it decorates a function of a flow.

    Args:
        name: Its name; :meth:`Flow.get_features` and exports have it. One that is registered already is replaced.
        feature_type: What kind it is.
        dependencies: Not taken: a function asks another by calling it.
        description: What it is, for people.
        processor: A function of a flow, or a :class:`BaseIncrementalFeature`.

    Raises:
        OptionError: The processor is none, every flow has a feature of that name, or ``dependencies`` are given.
    """
    if dependencies:
        raise OptionError(f"dependencies = {dependencies!r}: features do not wait for one another; call the other's function, or leave it out")

    def register(processor: _F) -> _F:
        _everywhere[name] = checked(name, processor), feature_type, description
        return processor

    if processor is None:
        return register
    register(processor)  # type: ignore[type-var]
    return None


def unregister_feature(name: str) -> bool:
    """Takes back :func:`register_feature`; whether there was one."""
    return _everywhere.pop(name, None) is not None


def list_features() -> dict[str, tuple[FeatureType, str]]:
    """Features of every analyzer by name: their types and descriptions."""
    return {name: (kind, description) for name, (_, kind, description) in _everywhere.items()}


def registered(own: Mapping[str, Any]) -> dict[str, Any]:
    """Processors for a flow of an analyzer that has some of its own."""
    return {name: processor for name, (processor, *_) in _everywhere.items()} | dict(own)


def computed(flow: Flow, own: Mapping[str, Any]) -> dict[str, Any]:
    """What all of them give of a flow. What one raises is told with the feature's name."""
    from .packet import packets

    found: dict[str, Any] = {}
    for name, processor in registered(own).items():
        try:
            if not hasattr(processor, "get_value"):
                found[name] = processor(flow)
                continue
            processor.initialize(flow)
            for packet in packets(flow.features):
                processor.update(flow, packet)
            found[name] = processor.get_value(flow)
        except Exception as error:
            error.add_note(f"in feature {name!r} of {flow!r}")
            raise
    return found
