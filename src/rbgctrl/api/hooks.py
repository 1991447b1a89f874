"""msgspec's hooks for pydantic models inside Structs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from rbgctrl.api.spec import Spec

__all__ = ["dec_hook", "enc_hook"]


def dec_hook(kind: type[Any], value: Any) -> Any:
    """Decode ``value`` as the pydantic model ``kind``.

    Raises:
        NotImplementedError: ``kind`` is no pydantic model.
        ValueError: the value breaks a rule; says where, and never repeats the value. msgspec turns it into its own
            ValidationError.
    """
    if not issubclass(kind, BaseModel):
        raise NotImplementedError(f"{kind!r} is neither a Struct nor a pydantic model")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        places = (f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in found)
        raise ValueError("; ".join(places)) from None


def enc_hook(value: Any) -> Any:
    """Encode a pydantic model as the JSON it stands for.

    Raises:
        NotImplementedError: the value is no model of ours.
    """
    if isinstance(value, Spec):
        return value.wire()
    raise NotImplementedError(f"{type(value).__name__} is neither a Struct nor a pydantic model")
