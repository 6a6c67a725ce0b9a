"""Columns that are alike: of a batch the engine holds equal ones once, and what is made of batches does as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow


def first_alike(table: pyarrow.Table) -> dict[str, str]:
    """For each column the first one, by name, whose memory it shares."""
    places: dict[Any, str] = {}
    return {name: places.setdefault(_place(column), name) for name, column in zip(table.schema.names, table.columns)}


def different(first: dict[str, str]) -> list[str]:
    """The columns that are the first of their kind."""
    return list(dict.fromkeys(first.values()))


def _place(column: Any) -> tuple[Any, ...]:
    """Where the cells of a column are, and what they are."""
    return column.type, *((part.offset, len(part), *map(_address, part.buffers())) for part in column.chunks)


def _address(buffer: Any) -> int | None:
    return None if buffer is None else buffer.address
