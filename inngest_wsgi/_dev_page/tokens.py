"""Tokens, without which nobody but our own page can act."""

from __future__ import annotations

import typing as t

from .. import errors
from .._security.signing import TokenError, TokenExpired, TokenSigner

#: The time for which a token is valid, in seconds.
MAX_AGE_S = 3600
#: The most tokens that one request may have. A page collects a token of each
#: process that it meets, for each process has a secret of its own.
MAX_TOKENS = 16

_RELOAD = "Nothing was done; reload the page and try again."


class Tokens:
    """Makes and checks the tokens of the page."""

    def __init__(self) -> None:
        self._signer = TokenSigner("inngest_wsgi landing page")
        self._age_s = MAX_AGE_S

    def make(self) -> str:
        """Make a token, valid from now on."""
        return self._signer.make()

    def check(self, tokens: t.Sequence[str]) -> None:
        """Require one valid token among the last :data:`MAX_TOKENS`.

        :raises errors.PageError: none is valid; describes the last one
        """
        problem = errors.PageError("token_missing", "The request has no token. " + _RELOAD)
        for token in tokens[-MAX_TOKENS:]:
            try:
                self._signer.verify(token, self._age_s)
                return
            except TokenExpired:
                problem = errors.PageError("token_expired", "The page is too old. " + _RELOAD)
            except TokenError:
                problem = errors.PageError(
                    "token_invalid",
                    "The page is from before a restart of the app, or from another of its "
                    "processes. " + _RELOAD,
                )
        raise problem
