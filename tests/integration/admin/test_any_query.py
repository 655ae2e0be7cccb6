"""Whatever an administrator asks for in a query or sends as a body is answered, never with a failure."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings, strategies as st

from syncauth.server.routes import admin_users
from tests.integration.admin.conftest import Admin
from tests.support.odd_input import frames, texts

NAMES = ("limit", "after", "sort", "status", "desc", "provider_types", "email")
some = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
numbers = st.integers().map(str) | st.floats().map(str)
queries = st.dictionaries(st.sampled_from(NAMES), texts | numbers, max_size=3)


@some
@given(queries)
@example({"limit": "1e2"})
@example({"limit": "9" * 500})
def test_any_query_of_users_is_answered(admin: Admin, query: dict[str, str]) -> None:
    """A page of users has at most as many as allowed, or the query is a bad request."""
    answer = admin.ask("GET", "/users", params=query)

    assert answer.status_code in {200, 400}, answer.text
    if answer.status_code == 200:
        assert len(answer.json()) <= admin_users.LONGEST_PAGE


@some
@given(
    frames(
        {"expiration_time_seconds": 3600}, {"token": "t"}, {"email": "a@b", "password": "secret"}
    ),
    st.sampled_from(
        [
            ("PUT", "/security/refresh_token_expiration"),
            ("POST", "/users/verify_token"),
            ("POST", "/users"),
        ]
    ),
)
def test_any_body_is_answered(admin: Admin, body: bytes, place: tuple[str, str]) -> None:
    """A body is what a route expects, or a refusal by its code."""
    answer = admin.ask(*place, content=body)

    assert answer.status_code < 500, answer.text
