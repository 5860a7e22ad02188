"""Read settings from arguments and the environment, and check their types."""

from __future__ import annotations

import functools
import re
import typing as t

from . import _protocol as p, errors
from ._codec import validate
from ._logs import log as _log
from ._security import keys

Arguments = t.Mapping[str, t.Any]

#: The values of a switch in the environment, in lower case.
TRUE = ("1", "true")
FALSE = ("0", "false")
#: Words by which people mean a switch, and what to write instead. The
#: official SDKs ignore them, or take each for dev mode, ``no`` too.
MEANT = {
    **dict.fromkeys(("yes", "y", "on", "t", "enable", "enabled"), "true"),
    **dict.fromkeys(("no", "n", "off", "f", "disable", "disabled", "none"), "false"),
}

_HEADER_SAFE = re.compile(r"[\x20-\x7e]+")


class Sources:
    """The sources of settings, in their order of precedence: arguments of
    ``serve()``, arguments of the client, environment (PROTOCOL section 1).

    An empty environment variable counts as unset. Every reader raises
    :exc:`~inngest_wsgi.errors.SettingsError` with the name of the argument or
    variable that it read.
    """

    def __init__(self, client: Arguments, serve: Arguments, environ: t.Mapping[str, str]) -> None:
        self.client = client
        self.serve = serve
        self.environ = environ

    def get(self, name: t.Optional[str], *variables: str) -> t.Tuple[str, t.Any, t.Optional[str]]:
        """Look a setting up.

        :param name: the argument's; None if only the environment has it
        :param variables: names of environment variables, the preferred first
        :returns: the name to use in errors; the value, or None; and the
            variable's name if the value is from the environment
        """
        if name is not None:
            for arguments in (self.serve, self.client):
                if arguments.get(name) is not None:
                    return name, arguments[name], None
        for variable in variables:
            value = keys.stripped(self.environ.get(variable, ""))
            if value:
                return variable, value, variable
        return name or variables[0], None, None

    def read(
        self, check: t.Callable[[str, t.Any], str], argument: str, *variables: str
    ) -> t.Optional[str]:
        """Return a setting as ``check(name, value)`` returns it; None if it is
        not set."""
        name, value, _ = self.get(argument, *variables)
        return None if value is None else check(name, value)

    def header_text(self, argument: str, *variables: str) -> t.Optional[str]:
        """Return text that can be the value of an HTTP header."""
        name, value, _ = self.get(argument, *variables)
        if value is None:
            return None
        if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value):
            raise errors.SettingsError(name, f"must be printable ASCII text, not {value!r}")
        return value

    def flag(self, argument: t.Optional[str], variable: str) -> bool:
        """Return a switch that is on by default."""
        name, value, _ = self.get(argument, variable)
        if value is None or value is True:
            return True
        if value is False:
            return False
        text = value.lower() if isinstance(value, str) else value
        if text in TRUE or text in FALSE:
            return text in TRUE
        way_out = f"; write {MEANT[text]}" if text in MEANT else "; write true or false"
        raise errors.SettingsError(name, f"{value!r} is neither true nor false{way_out}")

    def seconds(self, argument: str, default: float, least_ms: int, most_ms: int) -> float:
        """Return a duration in seconds.

        :param default: in seconds
        """
        name, value, _ = self.get(argument)
        if value is None:
            return default
        try:
            return validate.milliseconds(value, least_ms, most_ms) / 1000
        except ValueError as error:
            raise errors.SettingsError(name, str(error)) from None

    def count(self, argument: str, default: int, least: int, most: t.Optional[int] = None) -> int:
        """Return a whole number."""
        name, value, _ = self.get(argument)
        if value is None:
            return default
        try:
            return validate.whole_number(value, least, most)
        except ValueError as error:
            raise errors.SettingsError(name, str(error)) from None

    def branch(self) -> t.Optional[str]:
        """Return the name of the branch environment. A hosting platform's name
        of the branch comes last. One that no header can hold is ignored: git
        allows it, and the user may have no branch environments."""
        name = self.header_text("env", p.ENV_ENV)
        if name is not None:
            return name
        for variable in p.ENV_BRANCHES:
            name = keys.stripped(self.environ.get(variable, ""))
            if _HEADER_SAFE.fullmatch(name):
                return name
            if name:
                _warn_of_branch(variable, name)
        return None

    def platform(self) -> t.Optional[str]:
        """Return the name of the hosting platform, if it is known."""
        for variable, wanted, platform in p.ENV_PLATFORMS:
            value = self.environ.get(variable)
            if value and wanted in (None, value):
                return platform
        return None


@functools.lru_cache(maxsize=None)
def _warn_of_branch(variable: str, name: str) -> None:
    """Warn of a branch's name that is ignored, once: the settings are read for
    the client and for each endpoint."""
    _log.warning(
        "%s is ignored: %s is the branch of this deployment, and cannot be sent as the name of a "
        "branch environment. If it has one, set %s to the environment's name, in printable ASCII "
        "text.",
        variable,
        ascii(name),
        p.ENV_ENV,
    )
