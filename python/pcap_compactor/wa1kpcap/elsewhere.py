"""What the original's objects have and these have not."""

from __future__ import annotations

from typing import NoReturn


class Elsewhere:
    """An attribute that is not there: its error says what is. For ``hasattr`` and ``getattr`` with a default it is none."""

    def __init__(self, instead: str) -> None:
        self._instead = instead
        self.__doc__ = f"Not here: {instead}."

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: object, kind: type) -> NoReturn:
        raise AttributeError(f"{kind.__name__!r} object has no attribute {self._name!r}: {self._instead}", name=self._name, obj=owner)
