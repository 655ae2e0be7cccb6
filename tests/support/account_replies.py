"""What a server of the account API answers when all is well, and who asks."""

from __future__ import annotations

from syncauth.models import Credentials, Secret
from tests.support.odd_server import json_answer, jwt

ACCESS, REFRESH, NEWER = jwt("access"), jwt("refresh"), jwt("newer")
OLD = Secret(REFRESH)
PASSWORD = "correct horse"
ANN = Credentials.email_password("ann@example.com", PASSWORD)
PROVIDERS = "/api/client/v2.0/app/field-notes/auth/providers"
LOGIN = f"{PROVIDERS}/local-userpass/login"
ANONYMOUS_LOGIN = f"{PROVIDERS}/anon-user/login"
REGISTER = f"{PROVIDERS}/local-userpass/register"
PROFILE = "/api/client/v2.0/auth/profile"
WALL = 1_700_000_000.0
GRANTED = json_answer(
    201, {"access_token": ACCESS, "refresh_token": NEWER, "life_ms": 1500, "expires_in": 1}
)
LOGGED_IN = json_answer(
    200,
    {
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "user_id": "u1",
        "device_id": "d" * 24,
        "life_ms": 1_800_000,
    },
)
PROFILE_OF_ANN = json_answer(
    200,
    {
        "user_id": "u1",
        "domain_id": "x",
        "identities": [{"id": "i1", "provider_type": "local-userpass", "provider_id": "y"}],
        "data": {"email": "ann@example.com"},
        "type": "normal",
    },
)
