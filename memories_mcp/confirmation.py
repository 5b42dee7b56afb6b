"""Signed confirmation tokens for irreversible actions.

A token is bound to the operation, its exact arguments and the caller's key, and expires after ten minutes. A valid
token proves that a preview for these arguments was issued; showing the preview to the user is the client's task.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memories_mcp.context import Pending, Preview
from memories_mcp.errors import InvalidArguments

if TYPE_CHECKING:
    from itsdangerous import TimestampSigner

TOKEN_SECONDS = 600
TOKEN_ARGUMENT = "confirmation_token"

_process_secret = secrets.token_hex(32)


@dataclass(frozen=True)
class ConfirmationTokens:
    """Issues and verifies confirmation tokens.

    Attributes:
        secret: Signing key; empty for a random one that lasts as long as this process.
    """

    secret: str = ""

    def issue(self, operation: str, arguments: Mapping[str, Any], key: str, preview: Preview) -> Pending:
        """Return a preview together with a new token.

        Args:
            operation: Name of the operation to confirm.
            arguments: Validated arguments of the call; a token among them is ignored.
            key: The caller's API key; only its hash enters the token.
            preview: What the operation is about to do.
        """
        token = self._signer().sign(_digest(operation, arguments, key)).decode()
        return Pending(
            action=preview.action,
            items=preview.items,
            confirmation_token=token,
            expires_in_seconds=TOKEN_SECONDS,
        )

    def verify(self, operation: str, arguments: Mapping[str, Any], key: str, token: str) -> None:
        """Check that a token was issued for this call and has not expired.

        Args:
            operation: Name of the operation to confirm.
            arguments: Validated arguments of the call; the token among them is ignored.
            key: The caller's API key.
            token: The token that the caller passed back.

        Raises:
            InvalidArguments: The token is forged, expired or bound to another call.
        """
        from itsdangerous import BadSignature

        try:
            digest = self._signer().unsign(token, max_age=TOKEN_SECONDS).decode()
        except BadSignature:
            digest = ""
        if digest != _digest(operation, arguments, key):
            raise InvalidArguments(
                [
                    f"{TOKEN_ARGUMENT}: the token has expired, or belongs to other arguments, another key or a server "
                    "that was restarted; nothing was done. Call again without the token for a new preview."
                ]
            )

    def _signer(self) -> TimestampSigner:
        from itsdangerous import TimestampSigner  # imported late: most processes never confirm anything

        return TimestampSigner(self.secret or _process_secret, salt="memories-mcp confirmation")


def _digest(operation: str, arguments: Mapping[str, Any], key: str) -> str:
    """Return 32 hex digits of a SHA-256 over everything that a token is bound to."""
    bound = {name: value for name, value in arguments.items() if name != TOKEN_ARGUMENT}
    statement = json.dumps([operation, bound, key], sort_keys=True, default=str)
    return hashlib.sha256(statement.encode()).hexdigest()[:32]
