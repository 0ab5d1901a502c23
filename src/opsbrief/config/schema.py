"""JSON Schema (2020-12) of the configuration, made from the same classes that check it."""

import re
import types
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from opsbrief import __version__
from opsbrief import sources as catalogue
from opsbrief.config.option import LISTS, NOTHING, TABLES, Option, choices, options, shown, word
from opsbrief.config.values import ServiceOptions
from opsbrief.secret import Secret
from opsbrief.settings import Defaults, Deliver, Redact
from opsbrief.source import Login, Source

Schema = dict[str, Any]

_DURATION = r"^\s*[0-9PpTt]"
_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    timedelta: {"type": "string", "pattern": _DURATION, "examples": ["4h", "90m"]},
    re.Pattern: {"type": "string", "format": "regex"},
}


def schema() -> Schema:
    """Return the schema of ``opsbrief.yaml`` with every type of source there is here, plug-ins included."""
    kinds = {kind: catalogue.load(kind) for kind in catalogue.kinds()}
    definitions: Schema = {
        "secret": _secret(),
        **{f"source.{kind}": _source(kind, cls) for kind, cls in kinds.items()},
        "deploy": {
            "description": "a source that knows deploys, with other options of it where they differ",
            "type": ["string", "object"],
            "properties": {"source": {"type": "string"}},
            "required": ["source"],
        },
    }
    named = {"propertyNames": {"pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"opsbrief.yaml (opsbrief {__version__})",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1, "description": "of this format"},
            "timezone": {"type": "string", "description": "for what people read; computing is in UTC"},
            "defaults": _mapping(Defaults, "what holds where a command says nothing else"),
            "sources": {
                "description": "the systems to ask, each under a name of your own",
                "type": ["object", "null"],
                **named,
                "additionalProperties": _choice(list(kinds)),
            },
            "deploys": {
                "description": "the sources that know deploys, in the order they are asked",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/deploy"},
            },
            "marks": {
                "description": "the sources that 'opsbrief mark' writes to",
                "type": ["array", "string", "null"],
                "items": {"type": "string"},
            },
            "services": {
                "description": "what a brief can be about",
                "type": ["object", "null"],
                **named,
                "additionalProperties": _mapping(ServiceOptions, "one service"),
            },
            "redact": _mapping(Redact, "what is taken out of the evidence besides credentials"),
            "deliver": _mapping(Deliver, "where a finished brief goes"),
        },
        "$defs": definitions,
    }


def _choice(kinds: list[str]) -> Schema:
    """One branch a type, chosen by ``type``, so that an editor offers the options of that type only."""
    branches = [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/source.{kind}"},
        }
        for kind in kinds
    ]
    return {"type": "object", "properties": {"type": {"enum": kinds}}, "required": ["type"], "allOf": branches}


def _source(kind: str, cls: type[Source]) -> Schema:
    made = _mapping(cls, (cls.__doc__ or "").strip().partition("\n")[0])
    made["type"] = "object"
    made["properties"] = {"type": {"const": kind}, **made["properties"]}
    made["required"] = ["type", *made.get("required", [])]
    return made


def _mapping(cls: type, description: str = "") -> Schema:
    own = options(cls)
    made: Schema = {"description": description} if description else {}
    required = [key for key, option in own.items() if option.required]
    made |= {
        "type": "object" if required else ["object", "null"],
        "additionalProperties": False,
        "properties": {key: _option(option) for key, option in own.items()},
    }
    if required:
        made["required"] = required
    if cls is Login:  # auth: {netrc: HOST} stands for user and password
        made["properties"]["netrc"] = {"type": "string", "description": "machine in ~/.netrc; instead of the others"}
    return made


def _option(option: Option) -> Schema:
    made = of(option.hint, option.field.metadata)
    if option.help:
        made = {"description": option.help, **made}
    default = shown(option.default)
    if not option.required and default not in (None, "", [], {}) and not isinstance(default, dict):
        made["default"] = default
    return made


def of(hint: Any, meta: Mapping[str, Any] = NOTHING) -> Schema:  # noqa: ANN401, PLR0911 - any annotation; one line a type
    """Return the schema of one annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        made = [of(arg, meta) if arg is not type(None) else {"type": "null"} for arg in args]
        return {"anyOf": made}
    if (allowed := choices(hint)) is not None:
        return {"enum": list(allowed.values())}
    if hint is Secret:
        return {"$ref": "#/$defs/secret"}
    if origin in LISTS:
        item = of(args[0])
        return {"anyOf": [{"type": "array", "items": item}, item]} if meta.get("single") else _array(item)
    if origin in TABLES:
        return {"type": "object", "additionalProperties": of(args[1])}
    if hint is float and meta.get("duration"):
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, dict(_SCALARS[timedelta])]}
    if hint is str and meta.get("url"):
        return {"type": "string", "pattern": "^([Hh][Tt][Tt][Pp][Ss]?://[^/?#\\s@]+|$)"}
    if hint is str and meta.get("regex"):
        return dict(_SCALARS[re.Pattern])
    if (origin or hint) in _SCALARS:
        return dict(_SCALARS[origin or hint])
    return _mapping(hint) if isinstance(hint, type) and hint is not object else {}


def _array(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _secret() -> Schema:
    texts = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    ways: dict[str, Schema] = {
        "env": {"type": "string", "description": "name of an environment variable"},
        "file": {"type": "string", "description": "file that only you can read"},
        "command": {**texts, "description": "program and arguments; it prints the secret; no shell"},
        "netrc": {"type": "string", "description": "machine in ~/.netrc"},
        "keyring": {**texts, "minItems": 2, "maxItems": 2, "description": "[SERVICE, USER]"},
    }
    return {
        "description": f"{word(Secret)}; never the secret itself",
        "type": "object",
        "properties": ways,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
