"""
The OpenAPI 3.1 document of the HTTP API, made from what the routes tell of themselves and from the shapes they read.

A server publishes it at `/openapi.json`, with the id of its own app. It tells nothing but what this version of the
program can do. This module must never state a fact about one endpoint: that belongs beside its route.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from syncauth.server.routes.operations import STATUS, Operation

PLACE: Final = "/openapi.json"
OPENAPI: Final = "3.1.0"
COMPONENT: Final = "#/components/schemas/"

SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {
    "none": [],
    "access": [{"access": []}],
    "access, or in the URL": [{"access": []}, {"access_in_url": []}],
    "access for a link": [{}, {"access": []}],
    "refresh": [{"refresh": []}],
    "admin": [{"admin": []}],
}
SCHEMES: Final = {
    "access": {"type": "http", "scheme": "bearer", "description": "The access token"},
    "access_in_url": {"type": "apiKey", "in": "query", "name": "baas_at"},
    "refresh": {"type": "http", "scheme": "bearer", "description": "The refresh token"},
    "admin": {"type": "http", "scheme": "bearer", "description": "The token of an admin key"},
}
COME_AGAIN: Final = frozenset({"TooManyRequests", "ServiceUnavailable", "ServerRestarting"})
PATIENCE: Final = {
    "Retry-After": {
        "description": "Seconds after which to come again",
        "required": True,
        "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"},
    }
}


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How every refusal looks; `reason` tells on `InvalidSession` why the session ended."""

    error: str
    error_code: str
    link: str
    reason: str | msgspec.UnsetType = msgspec.UNSET


class Documents:
    """The documents of one app in JSON, each made when it is asked for the first time: everybody may ask."""

    def __init__(self, app_id: str) -> None:
        """Begin with none."""
        self._app_id = app_id
        self._made: dict[tuple[tuple[str, str], ...], msgspec.Raw] = {}

    def of(self, operations: Sequence[Operation]) -> msgspec.Raw:
        """Return the document of these operations, which are told apart by their methods and paths."""
        names = tuple((each.method, each.path) for each in operations)
        if names not in self._made:
            document = make_document(operations, self._app_id)
            self._made[names] = msgspec.Raw(msgspec.json.encode(document))
        return self._made[names]


def make_document(operations: Sequence[Operation], app_id: str) -> dict[str, Any]:
    """Return the document of these operations, for the server of one app."""
    shapes = [each for operation in operations for each in _shapes(operation)]
    schemas, components = msgspec.json.schema_components(
        [Refusal, *shapes], ref_template=COMPONENT + "{name}"
    )
    refusal, *rest = map(_public, schemas)
    told = iter(rest)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        place = paths.setdefault(operation.path, {})
        place[operation.method.lower()] = _operation(operation, app_id, refusal, told)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "syncauth",
            "version": importlib.metadata.version("syncauth"),
            "summary": "Accounts, sessions and functions of one app",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {name.lstrip("_"): _public(each) for name, each in components.items()},
            "securitySchemes": SCHEMES,
        },
    }


def _shapes(operation: Operation) -> list[Any]:
    """Return the types of an operation in the order in which `_operation` takes their schemas."""
    body = [] if operation.body is None else [operation.body]
    return [*body, *(each for each in operation.answers.values() if each is not None)]


def _operation(operation: Operation, app_id: str, refusal: Any, told: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(operation),
        "security": SECURITY[operation.bearer],
        "parameters": _parameters(operation, app_id),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": next(told)}}
        found["requestBody"] = {"required": not operation.may_be_empty, "content": content}
    responses: dict[str, Any] = {}
    for status, shape in operation.answers.items():
        responses[str(status)] = {"description": "Done"}
        if shape is not None:
            responses[str(status)]["content"] = {operation.media: {"schema": next(told)}}
    for denied, answer in _refusals(operation.all_codes(), refusal).items():
        _add(responses, denied, answer)
    found["responses"] = responses
    return found


def _add(responses: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """Put an answer beside what else may come with its status."""
    other = responses.get(status, {}).get("content", {}).get("application/json")
    if other is not None:
        told = answer["content"]["application/json"]
        told["schema"] = {"anyOf": [other["schema"], told["schema"]]}
    responses[status] = answer


def _refusals(codes: Iterable[str], refusal: Any) -> dict[str, Any]:
    """Return the answers of these codes by status, each with exactly the codes that it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    answers: dict[str, Any] = {}
    for status, those in sorted(by_status.items()):
        schema = {"allOf": [refusal, {"properties": {"error_code": {"enum": those}}}]}
        answers[str(status)] = {
            "description": ", ".join(those),
            "content": {"application/json": {"schema": schema}},
        }
        if not COME_AGAIN.isdisjoint(those):
            answers[str(status)]["headers"] = PATIENCE
    return answers


def _parameters(operation: Operation, app_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in re.findall(r"{(\w+)}", operation.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name == "app_id":
            schema = {"type": "string", "enum": [app_id]}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for each in operation.query:
        schema = {"type": "string"} | ({"enum": list(each.allowed)} if each.allowed else {})
        found.append(
            {
                "name": each.name,
                "in": "query",
                "description": each.text,
                "required": each.required,
                "schema": schema,
            }
        )
    return found


def _identifier(operation: Operation) -> str:
    """Return a name that is unique: the method and the words of the path."""
    words = re.findall(r"[A-Za-z]+", operation.path.partition("/v2.0")[2] or operation.path)
    return "_".join([operation.method.lower(), *words])


def _public(schema: Any) -> Any:
    """Return a schema that names components without the underscores of private types."""
    if isinstance(schema, dict):
        named = {key: _public(value) for key, value in schema.items()}
        if isinstance(target := named.get("$ref"), str):
            named["$ref"] = COMPONENT + target.removeprefix(COMPONENT).lstrip("_")
        if isinstance(title := named.get("title"), str):
            named["title"] = title.lstrip("_")
        return named
    return [_public(each) for each in schema] if isinstance(schema, list) else schema
