"""What a server makes up: uids, ends of generated names, Service addresses. All from one seed, in order of asking."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["Draws"]

_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
_HOSTS: Final = 250


class Draws:
    """A deterministic source of identities.

    Args:
        seed: servers with the same seed and the same requests give the same identities.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0
        self._addresses = 0

    def uid(self) -> str:
        """A fresh uid."""
        digits = self._draw(16).hex()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def suffix(self) -> str:
        """A fresh end of a generated name: five signs that never make a word."""
        return "".join(_SUFFIX[byte % len(_SUFFIX)] for byte in self._draw(5))

    def address(self) -> str:
        """A fresh cluster IP."""
        self._addresses += 1
        return f"10.96.{self._addresses // _HOSTS % _HOSTS}.{self._addresses % _HOSTS + 1}"

    def _draw(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.blake2b(f"{self._seed}/{self._drawn}".encode(), digest_size=size).digest()
