"""Every exception of the package. All derive from :exc:`Error`.

Each class says three things about itself: ``code``, a stable word for
programs; ``status``, the HTTP status it becomes when it ends a request to the
endpoint; and ``retriable``, whether the server may usefully try again.
"""

from __future__ import annotations

import datetime
import typing as t

from ._codec import durations


class Error(Exception):
    """Root of everything this package raises.

    :ivar code: a stable, lower-case word for the kind of error
    :ivar status: the HTTP status of the answer it becomes, where it becomes one
    :ivar retriable: whether trying the same again can help
    """

    code: str = "internal_error"
    status: int = 500
    retriable: bool = True

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    @property
    def is_retriable(self) -> bool:
        """The official SDK's name for ``retriable``."""
        return self.retriable


# -- raised while the application is put together ------------------------


class SettingsError(Error, ValueError):
    """A setting is missing, or has a value that cannot be used.

    Raised by :class:`~inngest_wsgi.Inngest` and :func:`~inngest_wsgi.serve`.

    :ivar setting: the argument or environment variable to change
    """

    code = "settings_invalid"
    retriable = False

    def __init__(self, setting: str, message: str) -> None:
        super().__init__("{}: {}".format(setting, message))
        self.setting = setting


class FunctionConfigError(Error, ValueError):
    """A function is declared, or put together with others, in a way that
    cannot work. Raised by ``create_function`` and
    :func:`~inngest_wsgi.serve`.

    :ivar function_id: the ``fn_id`` it was declared with
    """

    code = "function_config_invalid"
    retriable = False

    def __init__(self, function_id: object, message: str) -> None:
        super().__init__("function {!r}: {}".format(function_id, message))
        self.function_id = function_id


# -- raised by and for the user's functions ------------------------------


class NonRetriableError(Error):
    """Raise it in a function or a step: trying again is of no use.

    :param message: what went wrong
    :param quiet: do not log this error
    """

    code = "non_retriable_error"
    status = 400
    retriable = False

    def __init__(self, message: t.Optional[str] = None, quiet: bool = False) -> None:
        super().__init__(message or "")
        self.quiet = quiet


class RetryAfterError(Error):
    """Raise it in a function or a step: try again, but not before a time.

    A relative time goes to the server as whole seconds, rounded up and at
    least one; an absolute one as RFC 3339 (PROTOCOL section 6). The server
    clips both to between 1 second and 24 hours.

    :param message: what went wrong
    :param retry_after: how long to wait, as milliseconds (``int``), a
        ``timedelta`` or a time string (``"1h30m"``); or when to try again, as
        a ``datetime`` (without a time zone: UTC)
    :param quiet: do not log this error
    :raises ValueError: a time that is negative or cannot be read

    :ivar retry_after: the ``datetime`` of the next attempt, at the earliest
    :ivar header: the ``Retry-After`` that says so
    """

    code = "retry_after_error"

    def __init__(
        self,
        message: t.Optional[str],
        retry_after: t.Union[int, str, datetime.timedelta, datetime.datetime],
        quiet: bool = False,
    ) -> None:
        super().__init__(message or "")
        self.retry_after = durations.point(retry_after)
        self.header = durations.retry_after(retry_after)
        self.quiet = quiet


class StepError(Error):
    """A step has failed for good: its retries are used up, or it raised
    :exc:`NonRetriableError`. Raised where the function awaits the step.

    :ivar message: the message of the step's own error
    :ivar name: the class name of the step's own error
    :ivar stack: its traceback, where there is one
    :ivar cause: what it was raised from, as a dict of the same, where there
        is such

    A function that lets it through fails with the step's own error, without
    being tried again: the step has used up its retries.
    """

    code = "step_errored"
    status = 400
    retriable = False

    def __init__(
        self,
        message: str,
        name: str,
        stack: t.Optional[str] = None,
        cause: t.Optional[t.Mapping[str, t.Any]] = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.stack = stack
        self.cause = cause


class StepConfigError(Error, ValueError):
    """A step is called with an id or options that the protocol cannot carry,
    or where no step can be: inside another, in another thread than the
    function's, or after the call has ended.

    :ivar step_id: the id of the step
    """

    code = "step_config_invalid"
    status = 400
    retriable = False

    def __init__(self, step_id: object, message: str) -> None:
        super().__init__("step {!r}: {}".format(step_id, message))
        self.step_id = step_id


class MiddlewareError(Error):
    """A hook of a middleware raised. The call fails with this error, and is
    tried again unless what was raised says otherwise.

    :ivar hook: which: ``"Session.before_execution()"``
    :ivar header: the ``Retry-After`` that what was raised asks for
    """

    code = "middleware_failed"

    def __init__(self, hook: str, exc: BaseException) -> None:
        super().__init__("middleware {} raised {}: {}".format(hook, type(exc).__name__, exc))
        self.hook = hook
        self.retriable = exc.retriable if isinstance(exc, Error) else True
        self.header = exc.header if isinstance(exc, RetryAfterError) else None
        self.status = 500 if self.retriable else 400


class CallContextError(Error):
    """A ``call_context`` raised as it was made or entered. The call is tried
    again."""

    code = "call_context_failed"

    def __init__(self, exc: BaseException) -> None:
        super().__init__("call_context raised {}: {}".format(type(exc).__name__, exc))


class StepUnexpectedError(Error):
    """A call is for one step alone, and the function does not come to it. The
    call is tried again (W71)."""

    code = "step_unexpected"


class OutputError(Error):
    """What a function or a step returned cannot be sent: it is not JSON, or
    too large. Trying again would give the same, so it is not tried again."""

    code = "output_invalid"
    status = 400
    retriable = False


# -- raised while a request is read --------------------------------------


class RequestError(Error):
    """A request to the endpoint is refused before any function runs."""

    code = "request_invalid"
    status = 400


class SignatureError(RequestError):
    """The request is not from somebody who has the signing key.

    :ivar code: which check failed: ``signature_missing``,
        ``signature_malformed``, ``signature_expired``, ``signature_early`` or
        ``signature_mismatch``
    """

    status = 401

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(RequestError):
    """An unsigned request asks for what only a signed one may have."""

    code = "signature_required"
    status = 401


class BodyError(RequestError):
    """The body of a request is not what the protocol says it is.

    :ivar code: ``body_not_json``, ``body_invalid``, ``body_too_large``,
        ``body_unreadable`` or ``length_required``
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        # what arrived whole will not be better the next time
        self.retriable = code in ("body_unreadable", "length_required")


class AddressError(RequestError):
    """A request does not tell at which address this endpoint can be called,
    and no setting does."""

    code = "address_unknown"


class BrowserError(RequestError):
    """A page in a browser asks for what a server or the app itself asks for."""

    code = "from_a_browser"
    status = 403


class RedirectedError(RequestError):
    """A call, a probe or a sync came as a GET, for something redirects it on
    its way. The server would take an answer 200 for what a function returned
    (W73)."""

    code = "redirected"
    status = 500


class QueryError(RequestError):
    """The query of a call does not name a function."""

    code = "fn_id_missing"
    retriable = False


class FunctionNotFoundError(RequestError):
    """The endpoint does not have the function that is called."""

    code = "function_not_found"
    status = 500


class MethodError(RequestError):
    """The endpoint does not know the request's method."""

    code = "method_not_allowed"
    status = 405


class ServerKindError(RequestError):
    """A dev server speaks to an application in cloud mode, or the reverse."""

    code = "server_kind_mismatch"


class PageError(RequestError):
    """What the page of dev mode asks or does is refused.

    :ivar code: ``origin_refused``, ``token_missing``, ``token_expired``,
        ``token_invalid``, ``content_type`` or ``landing_unknown``
    """

    retriable = False

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


# -- raised by our own requests to the server ----------------------------


class ApiError(Error):
    """A request of ours to the Inngest server had no usable answer.

    :ivar http_status: the HTTP status of the answer, or None where there was
        none
    """

    code = "api_failed"

    def __init__(self, message: str, http_status: t.Optional[int] = None) -> None:
        super().__init__(message)
        self.http_status = http_status


class RegistrationError(ApiError):
    """The Inngest server did not accept the registration of the functions."""

    code = "registration_failed"


class SendEventsError(ApiError):
    """Some or all events of one ``send`` were not accepted.

    :ivar ids: the ids of those that were accepted, in the order they were
        given
    :ivar too_large: whether an event is larger than any server takes; then
        none was sent
    """

    code = "send_events_failed"

    def __init__(
        self,
        message: str,
        ids: t.Sequence[str] = (),
        http_status: t.Optional[int] = None,
        too_large: bool = False,
    ) -> None:
        super().__init__(message, http_status)
        self.ids = list(ids)
        # what the server refuses it will refuse again
        refused = http_status is not None and 400 <= http_status < 500 and http_status != 429
        self.retriable = not (refused or too_large)
        self.too_large = too_large
