"""Nobody reads the metrics whom the settings do not name."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from syncauth.errors import InvalidConfig
from syncauth.server.operations.metrics import Metrics
from syncauth.server.operations.metrics_door import open_doors
from syncauth.server.settings.operations import MetricsSettings

TOKEN = "a-token-of-the-operators"


def test_without_a_setting_there_is_no_door() -> None:
    """By default nothing answers `/metrics`, on no port."""
    assert open_doors(MetricsSettings(), Metrics()) == ([], None)


def test_beside_the_api_the_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the token reads; anybody else is told 401 and nothing more (I10)."""
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    routes, own = open_doors(MetricsSettings(token_env="METRICS_TOKEN"), Metrics())
    with TestClient(Starlette(routes=routes)) as client:
        refused = [
            client.get("/metrics", headers=headers)
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN})
        ]
        read = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    assert own is None
    for answer in refused:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "syncauth_" not in answer.text
        assert TOKEN not in answer.text
    assert read.headers["Content-Type"].startswith("text/plain")
    assert "syncauth_sessions_revoked_total 0.0" in read.text


def test_a_port_of_its_own_needs_a_token_only_if_there_is_one(tmp_path: Path) -> None:
    """With a port the metrics are not beside the API, and a token that is set is asked for there."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(stat.S_IRUSR)
    for settings, status in (
        (MetricsSettings(port=0), 200),
        (MetricsSettings(port=0, token_file=file), 401),
    ):
        routes, own = open_doors(settings, Metrics())
        assert routes == []
        assert own is not None
        with TestClient(own) as client:
            assert client.get("/metrics").status_code == status
            headers = {"Authorization": f"Bearer {TOKEN}"}
            assert client.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize("text", [None, "short"])
def test_a_token_that_cannot_be_used_is_named(tmp_path: Path, text: str | None) -> None:
    """A token that is missing or can be guessed ends the start, and is not shown."""
    if text is not None:
        (tmp_path / "token").write_text(text)
    with pytest.raises(InvalidConfig) as refusal:
        open_doors(MetricsSettings(token_file=tmp_path / "token"), Metrics())
    assert refusal.value.setting == "metrics.token_file"
    assert "short" not in str(refusal.value).replace("too short", "")

    with pytest.raises(InvalidConfig, match=r"metrics\.token_env"):
        open_doors(MetricsSettings(token_env="NO_SUCH_VARIABLE"), Metrics())
