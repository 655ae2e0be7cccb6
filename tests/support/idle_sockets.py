"""
A program that opens a sync socket for each token of a file and keeps it open: many devices with nothing to do.

It speaks the WebSocket protocol by itself (RFC 6455), over plain sockets, so that it takes little memory and time. Each
device says hello and has its checkpoint before the next one comes. Pings are answered until stdin ends.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
import sys
import threading
import urllib.parse
from pathlib import Path

from syncauth.sansio.messages import SUBPROTOCOL, Hello, TableShape, encode

SECONDS = 60.0
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class IdleSocket:
    """One device's socket."""

    def __init__(self, place: tuple[str, int], token: str) -> None:
        self.socket = socket.create_connection(place, SECONDS)
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        self.socket.sendall(
            (
                f"GET /api/client/v2.0/app/test/sync HTTP/1.1\r\nHost: {place[0]}:{place[1]}\r\n"
                f"Authorization: Bearer {token}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
            ).encode()
        )
        self.unread = b""
        while b"\r\n\r\n" not in self.unread:
            self.read()
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise SystemExit(head.decode())

    def read(self) -> None:
        """Read what has come."""
        came = self.socket.recv(65_536)
        if not came:
            raise SystemExit("the server has closed a socket")
        self.unread += came

    def send(self, kind: int, content: bytes) -> None:
        """Send one frame, masked as a client's must be, with a mask of zeros."""
        size = len(content)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self.socket.sendall(bytes([0x80 | kind]) + length + bytes(4) + content)

    def frames(self) -> list[tuple[int, bytes]]:
        """Take the frames that are here as a whole."""
        found = []
        while len(self.unread) >= 2:
            size, at = self.unread[1], 2
            if size == 126:
                size, at = int.from_bytes(self.unread[2:4], "big"), 4
            if size == 127 or len(self.unread) < at + size:
                break
            found.append((self.unread[0] & 0xF, self.unread[at : at + size]))
            self.unread = self.unread[at + size :]
        return found

    def serve(self) -> list[str]:
        """Answer pings; returns the kinds of the messages that came."""
        kinds = []
        for kind, content in self.frames():
            if kind == PING:
                self.send(PONG, content)
            elif kind == TEXT:
                kinds.append(json.loads(content)["type"])
            elif kind == CLOSE:
                raise SystemExit(f"the server has closed a socket: {content!r}")
        return kinds

    def greet(self) -> None:
        """Say hello and wait for the checkpoint that answers it."""
        table = TableShape("narrow", ["id"], ["c0", "c1", "c2", "c3", "c4"])
        self.send(TEXT, encode(Hello(os.urandom(8).hex(), "one", 1, 1, None, None, {}, [table])))
        while "checkpoint" not in self.serve():
            self.read()


class Answering(threading.Thread):
    """Answers the pings of all sockets."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()

    def run(self) -> None:
        while True:
            for key, _ in self.selector.select(0.1):
                key.data.read()
                key.data.serve()


def main(url: str, tokens: str) -> None:
    """Open them all, say so, and end with stdin."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told = urllib.parse.urlsplit(url)
    place = (told.hostname or "", told.port or 0)
    answering = Answering()
    answering.start()
    opened = 0
    for token in Path(tokens).read_text().splitlines():
        each = IdleSocket(place, token)
        each.greet()
        answering.selector.register(each.socket, selectors.EVENT_READ, each)
        opened += 1
    sys.stdout.write(json.dumps({"open": opened}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    if not answering.is_alive():
        raise SystemExit("a socket was closed")


if __name__ == "__main__":
    main(*sys.argv[1:])
