"""Values to JSON and back, by their annotations.

``encode`` leaves out what equals a field's default; ``decode`` puts it back. An encoder is built
once per type. Arrays are not handled here: the bundle keeps them beside the JSON.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from json import JSONEncoder
from json.encoder import encode_basestring as _QUOTED  # noqa: N812 - a quoted string, as the encoder writes it
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

V = TypeVar("V")
Coder = Callable[[Any], Any]

_PLAIN = (str, int, float, bool, type(None))
_PLAINLY = JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_ENCODERS: dict[type, Coder] = {}  # built once a type
_DECODERS: dict[Any, Coder] = {}


def encode(value: object) -> Any:  # noqa: ANN401 - JSON is any shape
    """Return ``value`` as what json.dumps takes. Floats that JSON has no word for become None."""
    kind = type(value)
    coder = _ENCODERS.get(kind)
    if coder is None:
        coder = _ENCODERS[kind] = _encoder(kind)
    return coder(value)


def decode(kind: type[V], data: object) -> V:
    """Return the value of type ``kind`` that ``encode`` turned into ``data``.

    Raises ValueError, TypeError or KeyError when ``data`` is of another shape.
    """
    return cast("V", _known(kind)(data))


def stamp(at: datetime) -> str:
    """Return an aware datetime as ISO 8601 in UTC with Z."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat()[:-6] + "Z"


def pretty(value: object) -> str:
    """Return what json.dumps writes with ``indent=1``, as it is and without NaN, in a third of its time.

    With an indent the standard library hands on every bracket and comma of a document one by one.
    """
    return _pretty(value, "\n")


def _pretty(value: Any, margin: str) -> str:  # noqa: ANN401 - JSON is any shape
    kind = type(value)
    if kind is str:
        return _QUOTED(value)
    inner = f"{margin} "
    if kind is dict and value:
        pairs = [f"{_QUOTED(name)}: {_pretty(item, inner)}" for name, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(pairs)}{margin}}}"
    if kind in {list, tuple} and value:
        return f"[{inner}{f',{inner}'.join([_pretty(item, inner) for item in value])}{margin}]"
    return _PLAINLY(value)


def _encoder(kind: type) -> Coder:  # noqa: PLR0911 - one return a kind of value
    if kind is float:
        return lambda value: value if value - value == 0 else None
    if issubclass(kind, Enum):
        return lambda value: value.value
    if kind in _PLAIN:
        return lambda value: value
    if kind is datetime:
        return stamp
    if kind is timedelta:
        return timedelta.total_seconds
    if issubclass(kind, tuple | list):
        return lambda value: [encode(item) for item in value]
    if issubclass(kind, Mapping):
        return lambda value: {str(key): item if type(item) is str else encode(item) for key, item in value.items()}
    if is_dataclass(kind):
        return _record_encoder(kind)
    raise TypeError(f"{kind.__name__} has no JSON form")


def _record_encoder(kind: type) -> Coder:
    names = [(field.name, _default(field)) for field in fields(kind)]

    def run(value: object) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, default in names:
            item = getattr(value, name)
            if item is not default and item != default:
                found[name] = item if type(item) is str else encode(item)
        return found

    return run


def _default(field: Any) -> object:  # noqa: ANN401 - dataclasses.Field of any type
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def _known(kind: Any) -> Coder:  # noqa: ANN401 - a type or a typing form
    coder = _DECODERS.get(kind)
    if coder is None:
        coder = _DECODERS[kind] = _decoder(kind)
    return coder


def _decoder(kind: Any) -> Coder:  # noqa: ANN401, C901, PLR0911 - a typing form; one branch a kind
    origin, args = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _optional(args)
    if origin is Literal:
        return lambda data: _one_of(data, args)
    if getattr(origin, "__name__", "") in {"ndarray", "NDArray"}:  # numpy's releases name it differently
        return lambda data: data  # arrays travel beside the JSON; whoever reads it puts them in
    if origin is tuple and args[-1] is Ellipsis:
        inner = _known(args[0])
        return lambda data: tuple(inner(item) for item in data)
    if origin is tuple:
        coders = [_known(arg) for arg in args]
        return lambda data: tuple(coder(item) for coder, item in zip(coders, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        inner = _known(args[1])
        return lambda data: {key: inner(item) for key, item in data.items()}
    if kind is datetime:
        return datetime.fromisoformat
    if kind is timedelta:
        return lambda data: timedelta(seconds=data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if isinstance(kind, type) and is_dataclass(kind):
        return _record_decoder(kind)
    return lambda data: _plain(data, kind)


def _optional(args: tuple[Any, ...]) -> Coder:
    """Decode ``X | None``; among plain types the JSON value's own type is kept."""
    rest = [arg for arg in args if arg is not type(None)]
    if len(rest) == 1:
        inner = _known(rest[0])
        return lambda data: None if data is None else inner(data)
    if all(arg in _PLAIN for arg in rest):
        return lambda data: data
    raise TypeError("only unions of plain types can be decoded")


def _one_of(data: object, allowed: tuple[object, ...]) -> object:
    if data not in allowed:
        raise ValueError(f"{data!r} is none of {allowed}")
    return data


def _plain(data: object, kind: type) -> object:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind is float and data is None:
        return float("nan")
    if not isinstance(data, kind):
        raise TypeError(f"{data!r} is no {kind.__name__}")
    return data


def _record_decoder(kind: type) -> Coder:
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    coders: dict[str, Coder] = {}  # filled as fields come: hashing their annotations each time costs most of it all

    def run(data: Mapping[str, Any]) -> object:
        found = {}
        for name, item in data.items():
            coder = coders.get(name)
            if coder is None:
                if name not in known:
                    continue
                coder = coders[name] = _known(hints[name])
            found[name] = coder(item)
        return kind(**found)

    return run
