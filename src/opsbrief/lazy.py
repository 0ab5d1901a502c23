"""Frozen dataclasses whose methods are made when they are first needed.

``dataclasses.dataclass`` writes and compiles six functions for each class while its module is imported: half a
millisecond a class, and a run loads a hundred and forty of them. The ``dataclass`` of this module makes the
same frozen, slotted classes, but compiles ``__init__`` alone, and that when the first value is made; ``==``,
``hash`` and ``repr`` are functions that all classes share. ``fields``, ``replace``, ``match``, ``copy`` and
``pickle`` see no difference, and type checkers take it for the standard one.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, kw_only: bool = False
    ) -> Callable[[type[Any]], type[Any]]:
        """Return what makes a dataclass of a class.

        One that can change, and what inherits from a dataclass, is made by the standard library.
        """

        def made(cls: type[Any]) -> type[Any]:
            if frozen and slots and not any(map(dataclasses.is_dataclass, cls.__bases__)):
                return _made(cls, kw_only=kw_only)
            return dataclasses.dataclass(frozen=frozen, slots=slots, kw_only=kw_only)(cls)

        return made


def _made(cls: type[Any], *, kw_only: bool) -> type[Any]:
    own = set(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__  # else the standard library writes the signature out in its place
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    key = _key([field.name for field in dataclasses.fields(made) if field.compare])
    methods = {
        "__init__": _first(made),
        "__repr__": _repr,
        "__eq__": lambda self, other: key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented,
        "__hash__": lambda self: hash(key(self)),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__getstate__": _state,
        "__setstate__": _restore,
    }
    for name, method in methods.items():
        if name not in own or (name == "__hash__" and "__eq__" not in own):  # a class that has __eq__ alone has no hash
            setattr(made, name, method)
    for flag in ("init", "repr", "eq", "frozen"):
        setattr(made.__dataclass_params__, flag, True)  # so that what inherits from it is held to be frozen too
    return made


def _key(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gives the values of ``names`` as a tuple: equal tuples may hold the same NaN, or the same array."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def _first(cls: type[Any]) -> Callable[..., None]:
    """Return an ``__init__`` that puts the real one in its place when it is first called."""

    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: ANN401, N807 - of any class
        real = _init(cls)
        cls.__init__ = real
        real(self, *args, **given)

    return __init__


def _init(cls: type[Any]) -> Callable[..., None]:
    """Write and compile the ``__init__`` of a class, as the standard library does.

    It sets the slots through their descriptors, which takes two thirds of the time of ``object.__setattr__`` by name.
    """
    scope: dict[str, Any] = {"MISSING": dataclasses.MISSING}
    plain, named, body = ["self"], ["*"], []
    for field in dataclasses.fields(cls):
        name = field.name
        scope[f"_set_{name}"] = cls.__dict__[name].__set__
        value, head = name, name
        if field.default_factory is not dataclasses.MISSING:
            scope[f"_make_{name}"] = field.default_factory
            head, value = f"{name}=MISSING", f"_make_{name}() if {name} is MISSING else {name}"
        elif field.default is not dataclasses.MISSING:
            scope[f"_default_{name}"] = field.default
            head = f"{name}=_default_{name}"
        (named if field.kw_only else plain).append(head)
        body.append(f" _set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    head = ", ".join(plain + named * (len(named) > 1))
    exec("\n".join([f"def __init__({head}):", *body, " return None"]), scope)  # noqa: S102 - names of fields alone
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


@recursive_repr()
def _repr(self: Any) -> str:  # noqa: ANN401 - of any class
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:  # noqa: ANN401 - of any class
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:  # noqa: ANN401 - of any class
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
