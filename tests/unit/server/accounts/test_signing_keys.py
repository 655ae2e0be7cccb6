"""Keys are made once, rotated with overlap, followed by running servers, and never logged out of by accident."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from syncauth.errors import FileCorrupt, FileTooNew, StorageError
from syncauth.models import Secret
from syncauth.server.accounts.issuer import Claims, Issuer, TokenFault
from syncauth.server.accounts.key_file import KEY_FILE, KeyFile
from syncauth.server.accounts.key_ring import NOTICE
from syncauth.server.accounts.signing_keys import (
    LOOK_AFTER,
    SigningKeys,
    forget_spent_keys,
    rotate_keys,
)
from syncauth.server.settings.config import DAY
from syncauth.server.stores.interface import SessionRecord

NOW = 1_700_000_000.0
LIFE = 60 * DAY
SESSION = SessionRecord(
    session_id="5e" * 12,
    user_id="0a" * 12,
    device_id="ab" * 12,
    identity_id="1d" * 12,
    provider_type="local-userpass",
    rotates=False,
    expires_at=NOW + LIFE,
    end_reason=None,
    custom_data=None,
)


def lives(_moment: float) -> bool:
    """Say that some session of before lives."""
    return True


def dead(_moment: float) -> bool:
    """Say that none does."""
    return False


def issuer(folder: Path) -> Issuer:
    """Return what a server process that starts now signs with."""
    return Issuer(SigningKeys(folder), "app")


def access(by: Issuer, now: float = NOW) -> Secret:
    """Return an access token of half an hour."""
    return by.access_token(SESSION, now=now, life=1800).text


def refresh(by: Issuer, now: float = NOW) -> Secret:
    """Return a refresh token until the end of the session."""
    return by.refresh_token(SESSION, now=now, unique=b"u" * 16).text


def kids(folder: Path, now: float = NOW) -> list[str]:
    """Return the ids of the published keys."""
    return [key["kid"] for key in SigningKeys(folder).published(now)]


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    """The first start makes them, readable by their owner alone; later starts read the same."""
    first, second = issuer(tmp_path), issuer(tmp_path)

    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert isinstance(second.verify_access(access(first), NOW), Claims)


def test_processes_that_start_together_have_the_same_keys(tmp_path: Path) -> None:
    """Of several that find no file one makes it."""
    started, found = threading.Barrier(4), []

    def start() -> None:
        started.wait()
        found.append(SigningKeys(tmp_path).signing(NOW).kid)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_single_key_of_before_goes_on(tmp_path: Path) -> None:
    """A file with one key is brought to the new form; the tokens that it signed stay good, its key signs."""
    key = ECKey.generate_key("P-256", private=True)
    (tmp_path / KEY_FILE).write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / KEY_FILE).chmod(0o600)

    kept = SigningKeys(tmp_path)
    assert kept.signing(NOW).kid == key.thumbprint()
    assert json.loads((tmp_path / KEY_FILE).read_text())["format"] == 2
    # The next key is the same for whoever comes later.
    assert kids(tmp_path) == kids(tmp_path)
    assert kept.published(NOW)[1]["kid"] == kids(tmp_path)[1]


def test_the_next_key_signs_and_was_published_before(tmp_path: Path) -> None:
    """Services that keep the public keys for a while know the key that signs when it begins to."""
    before = kids(tmp_path)
    done = rotate_keys(tmp_path, now=NOW, alive=lives)
    after = kids(tmp_path)

    assert done.kid == SigningKeys(tmp_path).signing(NOW).kid == before[1] == after[0]
    assert before[0] in after
    assert len(set(after)) == 3


def test_tokens_of_before_stay_good_until_their_end(tmp_path: Path) -> None:
    """After any number of rotations refresh tokens count until they end, access tokens too."""
    old = issuer(tmp_path)
    tokens = access(old), refresh(old)
    for _ in range(3):
        rotate_keys(tmp_path, now=NOW + 1, alive=lives)
    new = issuer(tmp_path)

    assert isinstance(new.verify_access(tokens[0], NOW + 2), Claims)
    assert new.verify_access(tokens[0], NOW + 1800) is TokenFault.EXPIRED
    assert isinstance(new.verify_refresh(tokens[1], NOW + LIFE - 1), Claims)
    assert new.verify_refresh(tokens[1], NOW + LIFE) is TokenFault.EXPIRED


def test_a_retired_key_signs_no_access_token_after_a_day(tmp_path: Path) -> None:
    """No access token lives longer: what names an old key later is forged, and services do not take it either."""
    old = issuer(tmp_path)
    token = old.access_token(SESSION, now=NOW, life=LIFE).text  # longer than any setting allows
    kid = kids(tmp_path)[0]
    rotate_keys(tmp_path, now=NOW, alive=lives)
    new = issuer(tmp_path)
    end = NOW + DAY + NOTICE

    assert isinstance(new.verify_access(token, end - 1), Claims)
    assert kid in kids(tmp_path, end - 1)
    assert new.verify_access(token, end) is TokenFault.INVALID
    assert kid not in kids(tmp_path, end)


def test_of_a_retired_key_only_the_public_part_is_kept(tmp_path: Path) -> None:
    """Who reads the file later cannot sign with the keys of before."""
    issuer(tmp_path)
    private = json.loads((tmp_path / KEY_FILE).read_text())
    rotate_keys(tmp_path, now=NOW, alive=lives)
    text = (tmp_path / KEY_FILE).read_text()

    assert private["signing"]["d"] not in text
    assert private["signing"]["x"] in text
    assert "d" not in json.loads(text)["retired"][0]["key"]


def test_running_servers_follow_the_file(tmp_path: Path) -> None:
    """Each process sees a rotation at its next look, half a second later at most, and an unknown key at once."""
    one, two = issuer(tmp_path), issuer(tmp_path)
    first = SigningKeys(tmp_path).signing(NOW).kid
    assert isinstance(two.verify_access(access(one), NOW), Claims)
    rotate_keys(tmp_path, now=NOW, alive=lives)
    running = SigningKeys(tmp_path)

    # `one` has not looked yet and signs with the key of before: everybody takes it.
    late = access(one, NOW + LOOK_AFTER / 2)
    soon = access(one, NOW + LOOK_AFTER)
    assert Secret(late.reveal()) != soon
    assert isinstance(issuer(tmp_path).verify_access(late, NOW + 1), Claims)
    # `two` has not looked either, and knows the key that signs now as the one that was next.
    assert isinstance(two.verify_access(soon, NOW + LOOK_AFTER / 2), Claims)
    assert running.signing(NOW).kid != first
    # After two rotations it does not know the key, and looks.
    rotate_keys(tmp_path, now=NOW, alive=lives)
    rotate_keys(tmp_path, now=NOW, alive=lives)
    assert isinstance(two.verify_access(access(issuer(tmp_path)), NOW), Claims)


def test_a_clock_that_is_set_back_does_not_hide_a_rotation(tmp_path: Path) -> None:
    """Whoever looked in what is now the future looks again."""
    running = SigningKeys(tmp_path)
    before = running.signing(NOW).kid
    rotate_keys(tmp_path, now=NOW, alive=lives)

    assert running.signing(NOW - DAY).kid != before


def test_revoking_makes_every_old_token_worthless(tmp_path: Path) -> None:
    """In an emergency no token of a key that may be known counts, nor one of the key that was next."""
    running = issuer(tmp_path)
    rotate_keys(tmp_path, now=NOW, alive=lives)
    tokens = access(running, NOW + 1), refresh(running, NOW + 1)
    stolen = json.loads((tmp_path / KEY_FILE).read_text())
    done = rotate_keys(tmp_path, now=NOW + 2, alive=lives, revoke_old=True)
    thief = tmp_path / "thief"
    thief.mkdir()
    KeyFile(thief).path.write_text(json.dumps({**stolen, "signing": stolen["following"]}))
    KeyFile(thief).path.chmod(0o600)

    assert (done.retired, done.forgotten) == (0, 2)
    for token in (*tokens, access(issuer(thief), NOW + 2)):
        assert running.verify_access(token, NOW + 3) is TokenFault.INVALID
        assert running.verify_refresh(token, NOW + 3) is TokenFault.INVALID
    assert isinstance(running.verify_access(access(running, NOW + 3), NOW + 3), Claims)


def test_a_key_is_removed_when_nothing_that_it_signed_lives(tmp_path: Path) -> None:
    """It is kept for a day and for the last session of before; asked is for sessions up to the last that may be its."""
    asked: list[float] = []

    def alive(moment: float) -> bool:
        asked.append(moment)
        return moment < NOW + 100 + NOTICE  # a session of the first key lives, none of the second

    issuer(tmp_path)
    rotate_keys(tmp_path, now=NOW, alive=dead)
    rotate_keys(tmp_path, now=NOW + 100, alive=dead)
    assert forget_spent_keys(tmp_path, now=NOW + 200, alive=dead) == 0
    later = NOW + 200 + DAY

    assert forget_spent_keys(tmp_path, now=later, alive=alive) == 1
    assert asked == [NOW + NOTICE, NOW + 100 + NOTICE]
    assert [old.retired_at for old in KeyFile(tmp_path).read().retired] == [NOW]
    done = rotate_keys(tmp_path, now=later, alive=dead)
    assert (done.retired, done.forgotten) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "not JSON",
        '{"kty":"oct","k":"c2VjcmV0LXRleHQ"}',
        '{"format":2}',
        '{"format":"secret-text"}',
        json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=False)),
        json.dumps(ECKey.generate_key("P-384", private=True).as_dict(private=True)),
    ],
)
def test_damaged_keys_are_told_and_left(tmp_path: Path, text: str) -> None:
    """I10: a file that holds no such keys is refused, left as it is, and not shown."""
    path = tmp_path / KEY_FILE
    path.write_text(text)

    for use in (
        lambda: SigningKeys(tmp_path),
        lambda: rotate_keys(tmp_path, now=NOW, alive=lives),
    ):
        with pytest.raises(FileCorrupt) as caught:
            use()
        assert caught.value.path == str(path)
        assert "secret-text" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert path.read_text() == text


def test_keys_of_a_newer_version_are_left(tmp_path: Path) -> None:
    """A format that is not known is not guessed at."""
    (tmp_path / KEY_FILE).write_text('{"format": 3}')

    with pytest.raises(FileTooNew):
        SigningKeys(tmp_path)


def test_keys_that_everybody_can_read_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads them can be any user: the server does not start. Open to a group, the log says so."""
    issuer(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o604)
    with pytest.raises(StorageError, match="0604"):
        issuer(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    assert caplog.text == ""

    issuer(tmp_path)
    assert "0640" in caplog.text


def test_a_running_server_keeps_its_keys_when_the_file_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is moved, damaged or opened to others logs nobody out; it is told once, and taken when it is back."""
    running = issuer(tmp_path)
    path = tmp_path / KEY_FILE
    content = path.read_bytes()
    for step, harm in enumerate(
        (path.unlink, lambda: path.write_text("{}"), lambda: path.write_text("{ }"))
    ):
        caplog.clear()
        harm()
        now = NOW + 10 * step
        with caplog.at_level(logging.ERROR):
            for later in (1, 2, 3):
                token = access(running, now + later)
                assert isinstance(running.verify_access(token, now + later), Claims)
        assert len(caplog.records) == 1
    path.write_bytes(content)
    path.chmod(0o600)
    rotate_keys(tmp_path, now=NOW, alive=lives)

    assert isinstance(issuer(tmp_path).verify_access(access(running, NOW + 100), NOW + 100), Claims)


def test_a_revocation_that_could_not_be_read_at_first_is_not_missed(tmp_path: Path) -> None:
    """I3: once the file can be read again, by its mode alone, the keys that were revoked count no longer."""
    running = issuer(tmp_path)
    stolen = access(running)
    rotate_keys(tmp_path, now=NOW, alive=lives, revoke_old=True)
    (tmp_path / KEY_FILE).chmod(0o644)
    assert isinstance(running.verify_access(stolen, NOW + 1), Claims)  # refused, and told so
    (tmp_path / KEY_FILE).chmod(0o600)  # as the error says

    assert running.verify_access(stolen, NOW + 2) is TokenFault.INVALID


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    """Where no server has run there is nothing to rotate, and nothing is made."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StorageError) as caught:
            rotate_keys(folder, now=NOW, alive=lives)
        assert str(folder) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_draft_is_in_nobody_s_way(tmp_path: Path) -> None:
    """I14: a process that died while it wrote leaves the keys of before."""
    before = SigningKeys(tmp_path).signing(NOW).kid
    draft = tmp_path / f"{KEY_FILE}.new"
    draft.write_text('{"format": 2, "sig')

    assert SigningKeys(tmp_path).signing(NOW).kid == before
    rotate_keys(tmp_path, now=NOW, alive=lives)
    assert not draft.exists()


def test_an_administrator_leaves_the_file_to_the_server(tmp_path: Path) -> None:
    """A rotation keeps the owner of the file, also one by root: the server could not read one of root's."""
    issuer(tmp_path)
    # Only root can give files away; anybody else has nothing but files of their own.
    owner = (12345, 23456) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(tmp_path / KEY_FILE, *owner)
    rotate_keys(tmp_path, now=NOW, alive=lives)
    status = (tmp_path / KEY_FILE).stat()

    assert (status.st_uid, status.st_gid) == owner


def test_keys_that_can_be_read_again_are_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that could not be read for a while is read as soon as it can be, though it has not changed; told once."""
    running = issuer(tmp_path)
    old = access(running)
    rotate_keys(tmp_path, now=NOW, alive=lives, revoke_old=True)
    path = tmp_path / KEY_FILE
    path.chmod(0o604)
    for later in (1, 2, 3):
        assert isinstance(running.verify_access(old, NOW + later), Claims)
    assert len(caplog.records) == 1

    path.chmod(0o600)

    assert running.verify_access(old, NOW + 4) is TokenFault.INVALID
