"""The exceptions of this package::

    Error
      SettingsError (ValueError)         a setting is missing or invalid
      FunctionConfigError (ValueError)   a function is declared in error
      NonRetriableError                  raise it: do not retry
      RetryAfterError                    raise it: retry, not before a time
      StepError                          a step has failed for good
      StepConfigError (ValueError)       a step is called in error
      StepUnexpectedError                the one step to run was not reached
      StaleCallError                     the server has made a call again
      OutputError                        an output is not JSON, or too large
      MiddlewareError                    a hook raised
      CallContextError                   a call_context raised
      RequestError                       a request is refused
        SignatureError                   its signature is not valid
        ForbiddenError                   it needs a signature
        BodyError                        its body is not valid
        QueryError                       its query names no function
        FunctionNotFoundError            the function is not served here
        MethodError                      its method is not supported
        ServerKindError                  it is from a server of the other mode
        AddressError                     the endpoint's address is unknown
        BrowserError                     it is from a page in a browser
        RedirectedError                  it was a POST or PUT before a redirect
        PageError                        the page of dev mode is refused
      ApiError                           a request to the server failed
        RegistrationError                it did not register the functions
        SendEventsError                  it did not accept all events

The attributes ``code``, ``status`` and ``retriable`` of :exc:`Error` are set
in each class, or in each object.
"""

from __future__ import annotations

import datetime
import traceback
import typing as t

from ._codec import durations


def _remade(cls: t.Type["Error"], args: t.Tuple[t.Any, ...]) -> "Error":
    """Make an exception without a call of its ``__init__``."""
    return cls.__new__(cls, *args)


class Error(Exception):
    """Base class of all exceptions of this package.

    :ivar code: identifies the kind of error; lower-case, and stable
    :ivar status: the HTTP status of the response that reports the error
    :ivar retriable: whether another attempt can succeed
    """

    code: str = "internal_error"
    status: int = 500
    retriable: bool = True

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> t.Tuple[t.Any, ...]:
        # an exception is copied by a call with its args, but these classes
        # take other arguments
        return _remade, (type(self), self.args), self.__dict__

    @property
    def is_retriable(self) -> bool:
        """The official SDK's name for ``retriable``."""
        return self.retriable

    @property
    def name(self) -> str:
        """The name of the class."""
        return type(self).__name__

    @property
    def stack(self) -> t.Optional[str]:
        """The traceback, as text."""
        return "".join(traceback.format_exception(type(self), self, self.__traceback__))


# -- raised at start-up --------------------------------------------------


class SettingsError(Error, ValueError):
    """A setting is missing or invalid.

    Raised by :class:`~inngest_wsgi.Inngest` and :func:`~inngest_wsgi.serve`.

    :ivar setting: the argument or environment variable to change
    """

    code = "settings_invalid"
    retriable = False

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting


class FunctionConfigError(Error, ValueError):
    """The options of a function are invalid, or conflict with those of
    another. Raised by ``create_function`` and :func:`~inngest_wsgi.serve`.

    :ivar function_id: the function's ``fn_id``
    """

    code = "function_config_invalid"
    retriable = False

    def __init__(self, function_id: object, message: str) -> None:
        super().__init__(f"function {function_id!r}: {message}")
        self.function_id = function_id


# -- raised in the user's functions, or by them --------------------------


class NonRetriableError(Error):
    """Raise it in a function or a step to fail without a retry.

    :param message: the error message
    :param quiet: True to keep the error out of the log
    """

    code = "non_retriable_error"
    status = 400
    retriable = False

    def __init__(self, message: t.Optional[str] = None, quiet: bool = False) -> None:
        super().__init__(message or "")
        self.quiet = quiet


class RetryAfterError(Error):
    """Raise it in a function or a step to be retried, not before a time.

    A duration is sent in whole seconds, rounded up and at least one; a
    ``datetime`` as RFC 3339 (PROTOCOL section 6). The server limits both to
    between 1 second and 24 hours from now.

    :param message: the error message
    :param retry_after: the time to wait, as milliseconds (``int``), a
        ``timedelta`` or a time string (``"1h30m"``); or the time of the next
        attempt as a ``datetime``, local time if it has no time zone
    :param quiet: True to keep the error out of the log
    :raises ValueError: the time is malformed or negative

    :ivar retry_after: the earliest time of the next attempt, a ``datetime``
    :ivar header: the value of the ``Retry-After`` header, or None
    """

    code = "retry_after_error"
    # of a subclass that does not call this class's __init__
    header: t.Optional[str] = None

    def __init__(
        self,
        message: t.Optional[str],
        retry_after: t.Union[int, str, datetime.timedelta, datetime.datetime],
        quiet: bool = False,
    ) -> None:
        super().__init__(message or "")
        self.retry_after: datetime.datetime = durations.to_datetime(retry_after)
        self.header: t.Optional[str] = durations.retry_after(retry_after)
        self.quiet = quiet


class StepError(Error):
    """A step has failed for good: its retries are used up, or it raised
    :exc:`NonRetriableError`. Raised where the function calls the step.

    If the step raised :exc:`NonRetriableError`, it is that too, so that
    ``except NonRetriableError`` catches it; likewise :exc:`RetryAfterError`.

    A function that does not catch it fails with the step's own error, without
    a retry.

    :ivar step_id: the id of the step, as the function's code has it
    :ivar message: the message of the step's own error
    :ivar name: the class name of that error
    :ivar stack: its traceback, or None
    :ivar cause: the error that it was raised from, as a dict with ``name``,
        ``message``, ``stack`` and ``cause``; or None
    :ivar code: its attribute ``code``, if it has one that JSON can hold
    :ivar data: its attribute ``data``, if it has one that JSON can hold
    :ivar was_logged: True if a call has logged the step's own error, or was
        asked not to
    """

    code: t.Any = "step_errored"
    status = 400
    retriable = False
    was_logged = False
    # not those of this object
    name: str = ""
    stack: t.Optional[str] = None

    def __init__(
        self,
        message: str,
        name: str,
        stack: t.Optional[str] = None,
        cause: t.Optional[t.Mapping[str, t.Any]] = None,
        *,
        step_id: t.Optional[str] = None,
        code: t.Any = None,
        data: t.Any = None,
    ) -> None:
        # not super(): a subclass is of a second class, with other arguments
        Error.__init__(self, message)
        # properties of the base class, which are read alike
        self.name = name  # pyright: ignore[reportIncompatibleMethodOverride]
        self.stack = stack  # pyright: ignore[reportIncompatibleMethodOverride]
        self.cause = cause
        self.step_id = step_id
        self.data = data
        if code is not None:
            self.code = code


class StepConfigError(Error, ValueError):
    """A step is called with an invalid id or option, or where a step is not
    possible: inside another step, in another thread than the function's, or
    after the call has ended.

    :ivar step_id: the id of the step
    """

    code = "step_config_invalid"
    status = 400
    retriable = False

    def __init__(self, step_id: object, message: str) -> None:
        super().__init__(f"step {step_id!r}: {message}")
        self.step_id = step_id


class MiddlewareError(Error):
    """A hook of a middleware raised. The call fails with this error, and is
    retried unless the hook's exception is not ``retriable``.

    :ivar hook: the hook, for example ``"Session.before_execution()"``
    :ivar header: the value of the ``Retry-After`` header, if the hook raised
        :exc:`RetryAfterError`
    """

    code = "middleware_failed"

    def __init__(self, hook: str, exc: BaseException) -> None:
        super().__init__(f"middleware {hook} raised {type(exc).__name__}: {exc}")
        self.hook = hook
        self.retriable: bool = exc.retriable if isinstance(exc, Error) else True
        self.header: t.Optional[str] = exc.header if isinstance(exc, RetryAfterError) else None
        self.status = 500 if self.retriable else 400


class CallContextError(Error):
    """A ``call_context`` raised when it was made or entered. The call is
    retried."""

    code = "call_context_failed"

    def __init__(self, exc: BaseException) -> None:
        super().__init__(f"call_context raised {type(exc).__name__}: {exc}")


class StepUnexpectedError(Error):
    """A call is for one step alone, and the function does not reach that
    step. The call is retried (W71)."""

    code = "step_unexpected"


class StaleCallError(Error):
    """The server has made a call again, and waits for the new one only.

    The answer to the old call; raised nowhere.
    """

    code = "stale_call"
    status = 409
    retriable = False


class OutputError(Error):
    """The output of a function or a step is not JSON, or is too large. It is
    not retried: another attempt would return the same."""

    code = "output_invalid"
    status = 400
    retriable = False


# -- raised while a request is read --------------------------------------


class RequestError(Error):
    """A request to the endpoint is refused, and no function runs."""

    code = "request_invalid"
    status = 400


class SignatureError(RequestError):
    """The signature of a request is missing or not valid.

    :ivar code: the check that failed: ``signature_missing``,
        ``signature_malformed``, ``signature_expired``, ``signature_early`` or
        ``signature_mismatch``
    """

    status = 401

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(RequestError):
    """An unsigned request asks for something that needs a signature."""

    code = "signature_required"
    status = 401


class BodyError(RequestError):
    """The body of a request is not valid, or cannot be read.

    :ivar code: ``body_not_json``, ``body_invalid``, ``body_too_large``,
        ``body_unexpected``, ``body_unreadable`` or ``length_required``
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        # a complete body will be the same the next time
        self.retriable: bool = code in ("body_unreadable", "length_required")


class AddressError(RequestError):
    """Neither the request nor a setting contains the address at which the
    server can call this endpoint."""

    code = "address_unknown"


class BrowserError(RequestError):
    """A page in a browser made a request that only servers and the endpoint's
    own page may make."""

    code = "from_a_browser"
    status = 403


class RedirectedError(RequestError):
    """A call, a probe or a sync arrived as a GET, because a redirect changed
    its method. The server would take a response with status 200 for the
    function's output (W73)."""

    code = "redirected"
    status = 500


class QueryError(RequestError):
    """The query of a call does not name a function."""

    code = "fn_id_missing"
    retriable = False


class FunctionNotFoundError(RequestError):
    """The function of a call is not served by this endpoint."""

    code = "function_not_found"
    status = 500


class MethodError(RequestError):
    """The endpoint does not support the method of a request."""

    code = "method_not_allowed"
    status = 405


class ServerKindError(RequestError):
    """A dev server calls an application in cloud mode, or the reverse."""

    code = "server_kind_mismatch"


class PageError(RequestError):
    """A request from the page of dev mode is refused.

    :ivar code: ``origin_refused``, ``token_missing``, ``token_expired``,
        ``token_invalid``, ``content_type`` or ``landing_unknown``
    """

    retriable = False

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


# -- raised by our requests to the server --------------------------------


class ApiError(Error):
    """A request to the Inngest server got no answer, or an error.

    :ivar http_status: the HTTP status of the answer; None without an answer
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

    :ivar ids: the ids of those that were accepted, in their order
    :ivar too_large: whether an event exceeds the size limit of every server;
        then none was sent
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
        self.ids: t.List[str] = list(ids)
        # the server will refuse the same events again
        refused = http_status is not None and 400 <= http_status < 500 and http_status != 429
        self.retriable: bool = not (refused or too_large)
        self.too_large = too_large
