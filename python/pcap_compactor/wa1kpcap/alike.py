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
    return column.type, *(_cells(part) for part in column.chunks)


def _cells(part: Any) -> tuple[Any, ...]:
    """Where the cells of an array are, also those that it only points to, which may begin anywhere in their memory."""
    from pyarrow import types

    here = part.offset, len(part), *map(_address, part.buffers())
    if types.is_dictionary(part.type):
        return *here, *_cells(part.dictionary)
    if types.is_list(part.type) or types.is_large_list(part.type):
        return *here, *_cells(part.values)
    # Of other kinds no column is, and their parts are not looked into: each is like none.
    return (object(),) if types.is_nested(part.type) else here


def _address(buffer: Any) -> int | None:
    return None if buffer is None else buffer.address
