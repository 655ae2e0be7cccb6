"""Signing keys that a test knows, in a data directory of their own that is there until the tests end."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from joserfc.jwk import ECKey

from syncauth.server.accounts.key_file import KeyFile
from syncauth.server.accounts.key_ring import KeyRing, OwnKey
from syncauth.server.accounts.signing_keys import SigningKeys


def keys_with(key: ECKey) -> SigningKeys:
    """Return the keys of a server on which this one signs."""
    folder = Path(tempfile.mkdtemp(prefix="syncauth-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    KeyFile(folder).write(KeyRing(OwnKey.of(key), OwnKey.made()))
    return SigningKeys(folder)
