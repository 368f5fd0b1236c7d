"""Parses an invalid file setting by setting, so that all its problems are told at once."""

from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from receiver.config.complaints import is_section, without_none
from receiver.config.sections import Section

S = TypeVar("S", bound=Section)


def partial(section: type[S], raw: object) -> S:
    """Read each setting by itself. One that can't be read is None, whatever its type says.

    `model_fields_set` names what somebody tried to write, readable or not.
    """
    if not isinstance(raw, dict):
        return cast("S", section.model_construct(**dict.fromkeys(section.model_fields)))
    values = {
        name: _read(field, raw[name]) if name in raw else _absent(field)
        for name, field in section.model_fields.items()
    }
    written = {name for name, value in raw.items() if value is not None}
    return cast("S", section.model_construct(_fields_set=written, **values))


def _absent(field: FieldInfo) -> Any:
    return None if field.is_required() else field.default


def _read(field: FieldInfo, raw: object) -> Any:
    kind = without_none(field.annotation)
    entry = get_args(kind)[-1] if get_args(kind) else None
    if raw is not None and is_section(kind):
        return partial(kind, raw)
    if get_origin(kind) is list and is_section(entry):
        return [partial(entry, each) for each in raw] if isinstance(raw, list) else []
    if get_origin(kind) is dict and is_section(entry):
        return {str(k): partial(entry, v) for k, v in raw.items()} if isinstance(raw, dict) else {}
    whole: Any = field.annotation
    for part in field.metadata:
        whole = Annotated[whole, part]
    if get_origin(kind) is dict and isinstance(raw, dict) and not field.metadata:
        entries = {name: _readable(entry, value) for name, value in raw.items()}
        return {str(name): value for name, value in entries.items() if value is not None}
    return _readable(whole, raw)


def _readable(kind: Any, raw: object) -> Any:
    try:
        return _adapter(kind).validate_python(raw, strict=True)
    except ValidationError:
        return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # takes pydantic a millisecond to build
