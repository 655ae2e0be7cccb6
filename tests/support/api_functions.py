"""The team's code of the server that is driven by its own OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from syncauth.errors import FunctionError
from syncauth.server.team.extensions import EmailRequest, FunctionContext


def echo(_context: FunctionContext, *values: Any) -> Any:
    """Give back what came."""
    return list(values)


def count(_context: FunctionContext, *values: Any) -> Iterator[Any]:
    """Give back what came, one by one."""
    yield from values


def refuse(_context: FunctionContext, *_values: Any) -> None:
    """Refuse the caller."""
    raise FunctionError("not today")


def fail(_context: FunctionContext, *_values: Any) -> Any:
    """Fail."""
    return _values[len(_values)]


def custom_login(payload: dict[str, Any]) -> dict[str, Any] | None:
    """Let in whoever says something that is no secret."""
    return {"id": "somebody", "said": sorted(payload)} if payload else None


def custom_data(user_id: str) -> dict[str, Any]:
    """Give everybody some data."""
    return {"of": user_id}


def reset(request: EmailRequest) -> str:
    """Do every second reset."""
    return "success" if len(request.email) % 2 else "fail"
