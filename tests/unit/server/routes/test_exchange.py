"""How refusals are written: what clients of App Services read, and when to come back."""

from __future__ import annotations

import pytest

from syncauth.server.accounts.answers import too_many
from syncauth.server.routes.exchange import answer_denied


@pytest.mark.parametrize(("wait", "told"), [(0.01, "1"), (1.0, "1"), (1.2, "2"), (59.5, "60")])
def test_nobody_is_told_to_come_back_too_early(wait: float, told: str) -> None:
    """Retry-After is whole seconds (RFC 9110 section 10.2.3), rounded up, and at least one."""
    assert answer_denied(too_many(wait)).headers["retry-after"] == told
