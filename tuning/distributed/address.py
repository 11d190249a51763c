"""The address of a chief: `HOST:PORT`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

from apps.errors import UserError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_LAST_PORT = 65535


@dataclass(frozen=True)
class Address:
    """A host's name or number, an IPv6 one without its brackets, and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that a text names.

        Args:
            text: `HOST:PORT` or `[IPV6]:PORT`.

        Raises:
            UserError: the text has another form.
        """
        host, _, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not bare or (":" in bare) != host.startswith("[") or not port.isdecimal():
            raise UserError(f"{text}: not an address; give HOST:PORT, such as 127.0.0.1:8400")
        if int(port) > _LAST_PORT:
            raise UserError(f"{text}: no such port; give one up to {_LAST_PORT}")
        return cls(bare, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def from_here(self) -> Address:
        """The address at which the same machine reaches a server that listens here."""
        return Address(_EVERYWHERE.get(self.host, self.host), self.port)

    def from_elsewhere(self) -> Address:
        """The address for other machines: this one's name if the server listens everywhere."""
        return Address(socket.gethostname(), self.port) if self.host in _EVERYWHERE else self
