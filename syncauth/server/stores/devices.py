"""
Devices of users, and how a lost answer is told from a copied or restored file.

A device names the highest batch whose result it has committed and the highest in flight, each with its digest. The
server's last batch is at most the highest of these unless the file is behind; a digest that differs says that a
number was used twice. This module must never let a user name another user's device.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import msgspec

from syncauth.sansio.messages import BatchMark, BatchResult, Hello
from syncauth.server.stores import histories
from syncauth.server.stores.rows_interface import Problem


@dataclass(frozen=True, slots=True)
class Device:
    """A device of one user: `number` here, `name` its id, `last` and `digest` its last batch here.

    `acked` is the batch whose result it has committed, `cut_hlc` the highest HLC given by cutting its stamps.
    """

    number: int
    name: str
    user_id: str
    incarnation: str
    last: int
    digest: str | None
    acked: int
    cut_hlc: int


def find(connection: sqlite3.Connection, name: str) -> Device | None:
    """Return a device by its id, or None."""
    row = connection.execute(
        "SELECT id, name, user_id, incarnation, last, digest, acked, cut_hlc"
        " FROM _sync_devices WHERE name = ?",
        (name,),
    ).fetchone()
    return None if row is None else Device(*row)


def admit(
    connection: sqlite3.Connection, user_id: str, hello: Hello, new_device: str
) -> Device | Problem:
    """Return the device that says hello, which is made if it is new, or why it must not go on."""
    problem = histories.judge(connection, hello)
    if problem is not None:
        return problem
    device = find(connection, hello.device)
    if device is not None and device.user_id != user_id:
        return _make(connection, user_id, hello, new_device)
    if device is None:
        if hello.acked is not None:
            message = "the server has no record of the batches that this device got results for"
            return Problem("checkpoint_too_old", message)
        return _make(connection, user_id, hello, hello.device)
    problem = _history(connection, device, hello)
    if problem is not None:
        return problem
    acked = hello.acked.batch if hello.acked is not None else 0
    connection.execute(
        "DELETE FROM _sync_results WHERE device = ? AND batch <= ?", (device.number, acked)
    )
    connection.execute(
        "UPDATE _sync_devices SET acked = ? WHERE id = ? AND acked < ?1", (acked, device.number)
    )
    return find(connection, device.name) or device


def _make(connection: sqlite3.Connection, user_id: str, hello: Hello, name: str) -> Device:
    (number,) = connection.execute(
        "INSERT INTO _sync_devices (name, user_id, incarnation, last, acked, cut_hlc)"
        " VALUES (?, ?, ?, 0, 0, 0) RETURNING id",
        (name, user_id, hello.incarnation),
    ).fetchone()
    return Device(number, name, user_id, hello.incarnation, 0, None, 0, 0)


def _history(connection: sqlite3.Connection, device: Device, hello: Hello) -> Problem | None:
    """Compare what the device says of its batches with what is known here."""
    if hello.incarnation != device.incarnation:
        return Problem("file_behind", "the file was made anew under the id of an older one")
    acked = hello.acked.batch if hello.acked is not None else 0
    highest = hello.highest.batch if hello.highest is not None else acked
    if device.last > max(acked, highest) or device.acked > acked:
        message = (
            f"the server has batches up to {device.last} of it, results confirmed to {device.acked}"
        )
        return Problem(
            "file_behind", f"{message}; the file knows of {max(acked, highest)} and {acked}"
        )
    if acked > device.last:
        message = f"the server has batches up to {device.last} only, and confirmed {acked}"
        return Problem("checkpoint_too_old", message)
    for mark in (hello.acked, hello.highest):
        if mark is not None and _differs(connection, device, mark):
            return Problem("digest_mismatch", f"batch {mark.batch} had other contents before")
    return None


def _differs(connection: sqlite3.Connection, device: Device, mark: BatchMark) -> bool:
    if mark.batch == device.last:
        return mark.digest != device.digest
    row = connection.execute(
        "SELECT digest FROM _sync_results WHERE device = ? AND batch = ?",
        (device.number, mark.batch),
    ).fetchone()
    return row is not None and bool(row[0] != mark.digest)


def count(connection: sqlite3.Connection, device: Device, result: BatchResult, acked: int) -> None:
    """Count a batch, keep its result, and forget the results that the device has committed."""
    cut = device.cut_hlc
    if result.cut is not None:
        cut = result.cut.first + len(result.cut.entries) - 1
    connection.execute(
        "UPDATE _sync_devices SET last = ?, digest = ?, acked = max(acked, ?), cut_hlc = ?"
        " WHERE id = ?",
        (result.batch, result.digest, min(acked, result.batch), cut, device.number),
    )
    connection.execute(
        "INSERT INTO _sync_results (device, batch, digest, result) VALUES (?, ?, ?, ?)",
        (device.number, result.batch, result.digest, msgspec.json.encode(result)),
    )
    connection.execute(
        "DELETE FROM _sync_results WHERE device = ? AND batch <= ?", (device.number, acked)
    )
