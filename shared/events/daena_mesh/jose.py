"""What all JSON Web Signatures have in common (RFC 7515): base64url in one spelling, and their headers."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Any

import msgspec

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/\0\0\0")
_LAST = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}
"""The last character of what fills no group of four: its unused bits are zero."""


class Head(msgspec.Struct, frozen=True):
    """A JOSE header. What it says of where a key could be had (`jku`, `jwk`, `x5u`, …) is not read."""

    alg: str
    kid: str = ""
    """Which key it was signed with; empty: it does not say."""
    crit: Any = msgspec.UNSET
    """What must be understood, whatever it is: nothing of that is, here."""


_head_of = msgspec.json.Decoder(Head).decode


def read_head(text: bytes) -> Head:
    """Read the first part of a token; raises `binascii.Error`, `UnicodeDecodeError` or `msgspec.DecodeError`."""
    return _head_of(decoded(text))


def encoded(data: bytes) -> bytes:
    """Base64url without padding, RFC 7515 section 2."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def decoded(text: bytes) -> bytes:
    """The inverse; raises `binascii.Error` for whatever `encoded` would not have written."""
    beyond = len(text) & 3
    if not beyond:
        return a2b_base64(text.translate(_FROM_URL), strict_mode=True)
    if beyond == 1 or text[-1] not in _LAST[beyond]:
        raise Base64Error
    return a2b_base64(text.translate(_FROM_URL) + (b"==" if beyond == 2 else b"="), strict_mode=True)
