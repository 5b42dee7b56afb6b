"""Previews and sealed tokens for what cannot be undone.

A token is bound to the operation, its exact arguments and the caller's key, and is valid for ten minutes. It proves
that a preview was shown for these arguments; whether a person read it is up to the client.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memories_mcp.context import Pending, Preview
from memories_mcp.errors import InvalidArguments

VALID_SECONDS = 600
TOKEN_ARGUMENT = "confirmation_token"

_process_secret = secrets.token_hex(32)


@dataclass(frozen=True)
class Confirmations:
    """Makes and checks tokens.

    Attributes:
        secret: What seals them; empty for one that lives as long as this process.
    """

    secret: str = ""

    def check(self, operation: str, arguments: Mapping[str, Any], key: str, preview: Preview) -> Pending | None:
        """`None` when the arguments carry a valid token for themselves, otherwise the preview with a new one.

        Raises:
            InvalidArguments: The token is forged, expired, or was made for other arguments.
        """
        from itsdangerous import BadSignature, TimestampSigner

        signer = TimestampSigner(self.secret or _process_secret, salt="memories-mcp confirmation")
        bound = {name: value for name, value in arguments.items() if name != TOKEN_ARGUMENT}
        statement = json.dumps([operation, bound, key], sort_keys=True, default=str)
        digest = hashlib.sha256(statement.encode()).hexdigest()[:32]
        token = arguments.get(TOKEN_ARGUMENT)
        if not token:
            return Pending(
                action=preview.action,
                items=preview.items,
                confirmation_token=signer.sign(digest).decode(),
                expires_in_seconds=VALID_SECONDS,
            )
        try:
            valid = signer.unsign(str(token), max_age=VALID_SECONDS).decode() == digest
        except BadSignature:
            valid = False
        if not valid:
            raise InvalidArguments(
                [
                    f"{TOKEN_ARGUMENT}: it has expired, or belongs to other arguments, another key or a server that "
                    "was restarted; nothing was done. Call again without it for a new preview."
                ]
            )
        return None
