"""A property that is computed on first use and kept."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_Owner = TypeVar("_Owner")
_Value = TypeVar("_Value")


class computed_once(Generic[_Owner, _Value]):  # noqa: N801 -- used like a property
    """
    As `functools.cached_property` is from Python 3.12 on: without a lock.

    For pure functions of what never changes: two threads that come at the same time
    compute the same value. The owner needs a ``__dict__``.
    """

    def __init__(self, compute: Callable[[_Owner], _Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, owner: None, kind: Any) -> "computed_once[_Owner, _Value]": ...

    @overload
    def __get__(self, owner: _Owner, kind: Any) -> _Value: ...

    def __get__(self, owner: Any, kind: Any) -> Any:
        if owner is None:
            return self
        value = owner.__dict__[self._name] = self._compute(owner)
        return value
