"""Statistics that stay as they are: what a flow says of itself is nobody's to change."""

from __future__ import annotations

from typing import Any, Never


def _refused(*_: Any, **__: Any) -> Never:
    raise TypeError("statistics of a flow cannot be written to; dict(...) of them makes a copy that can")


class Statistics(dict[str, Any]):
    """A dictionary that cannot be written to. It is one to whatever asks for a dictionary, ``json.dumps`` for one; ``dict(...)`` of it, as its
    ``copy``, is one that can."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refused

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
