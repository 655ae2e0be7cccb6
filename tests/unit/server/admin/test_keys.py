"""Admin keys are random, told once, and named so that people can tell them apart."""

from __future__ import annotations

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.accounts.issuer import token_hash
from syncauth.server.admin.keys import PREFIX, make_key
from syncauth.server.clock import SystemRandomness


def test_key_is_random_and_kept_as_its_hash() -> None:
    """Of a key 256 random bits are told, and its SHA-256 is kept, which nothing shows (I10)."""
    made = [make_key("a", SystemRandomness(), 7.0) for _ in range(20)]
    record, secret = made[0]

    assert len({record.key_id for record, _ in made}) == len({hash(s) for _, s in made}) == 20
    assert secret.reveal().startswith(PREFIX)
    assert len(bytes.fromhex(secret.reveal().removeprefix(PREFIX))) == 32
    assert record.key_hash == token_hash(secret)
    assert (record.name, record.disabled, record.created_at) == ("a", False, 7.0)
    assert secret.reveal() not in repr(record) + repr(secret)
    assert record.key_hash.hex() not in repr(record)


@pytest.mark.parametrize("name", ["", "a" * 101, "two words", "line\n", "ä", "../a"])
def test_names_that_cannot_be_used(name: str) -> None:
    """A name is short and plain, since it stands in lists and logs."""
    with pytest.raises(InvalidConfig):
        make_key(name, SystemRandomness(), 0.0)
    assert make_key("a" * 100, SystemRandomness(), 0.0)[0].name == "a" * 100
