"""The OpenAPI document is made once for what it tells, since everybody may ask for it."""

from __future__ import annotations

import msgspec

from syncauth.server.routes.admin import OPERATIONS as FOR_ADMINISTRATORS
from syncauth.server.routes.api import OPERATIONS as FOR_CLIENTS
from syncauth.server.routes.openapi import Documents, make_document


def test_document_is_made_once_for_each_set_of_operations() -> None:
    """The same operations give the very same bytes, others theirs."""
    documents = Documents("app")

    for operations in (FOR_CLIENTS, (*FOR_CLIENTS, *FOR_ADMINISTRATORS)):
        first = documents.of(operations)
        assert documents.of(tuple(operations)) is first
        assert msgspec.json.decode(first) == msgspec.to_builtins(make_document(operations, "app"))
