"""The values that pass between packages: requests and responses, calls, ops, and
what a call ended in. Nothing changes them, except where it is said.

Those that a call reads often are dataclasses, because Python reads an attribute
of a tuple with names some ten times as slowly. They are not frozen, which would
make them slowly, and none of them has a default that is an attribute of the
class, with which Python reads slowly too.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

#: The environment of a WSGI request (PEP 3333).
Environ = t.Dict[str, t.Any]
Headers = t.List[t.Tuple[str, str]]


def _none() -> t.Any:
    return dataclasses.field(default_factory=type(None))


class Address(t.NamedTuple):
    """The address of this endpoint, according to a request to it.

    :ivar origin: scheme, host and port; None if the request has no host, or a
        malformed one
    :ivar path: the path, percent-encoded
    :ivar mount: the part of the path at which the endpoint is mounted; empty
        if it is not mounted, or that is not known
    """

    origin: t.Optional[str] = None
    path: str = "/"
    mount: str = ""


@functools.lru_cache(maxsize=64)
def environ_key(name: str) -> str:
    """Return the key of a header in a WSGI environ.

    :param name: one of those in ``_protocol.py``
    """
    key = name.upper().replace("-", "_")
    return key if key == "CONTENT_TYPE" else "HTTP_" + key


@dataclasses.dataclass
class Request:
    """A request to the endpoint.

    :ivar method: in upper case
    :ivar query: the query's parameters, the first value of each
    :ivar address: the endpoint's, read only for requests that need it
    :ivar raw: the WSGI environ, for middleware
    :ivar concurrent: whether the WSGI server can handle other requests
        meanwhile, read only for requests that need it
    :ivar length: the length of the body in bytes, according to the request;
        None if only the end of the body tells
    :ivar has_body: whether the request says that it has a body, read or not
    :ivar body: the bytes as they arrived; empty where they are not needed.
        Set once, when the sender may have it read; nothing else changes
    """

    method: str
    query: t.Mapping[str, str]
    address: Address
    raw: Environ
    concurrent: bool
    length: t.Optional[int]
    has_body: bool
    body: bytes

    def header(self, name: str) -> t.Optional[str]:
        """Return a header of the request; None if it has none of that name.

        :param name: one of those in ``_protocol.py``
        """
        value: t.Optional[str] = self.raw.get(environ_key(name))
        return value


class Chunks(t.Protocol):
    """The type of a streamed body: a WSGI server iterates over it and closes
    it (PEP 3333)."""

    def __iter__(self) -> t.Iterator[bytes]: ...

    def close(self) -> None: ...


@dataclasses.dataclass
class Response:
    """A response of the endpoint.

    :ivar status: the HTTP status code
    :ivar headers: all but ``Content-Length``; the signature too, once signed
    :ivar body: the bytes to send
    :ivar stream: the body of a streamed response, instead of ``body``
    """

    status: int
    headers: Headers
    body: bytes
    stream: t.Optional[Chunks] = _none()

    def adding(self, *headers: t.Tuple[str, str]) -> "Response":
        """Return the response with these headers added."""
        return dataclasses.replace(self, headers=[*self.headers, *headers])


@dataclasses.dataclass
class Call:
    """One call of a function, as the server describes it (PROTOCOL section 6).

    :ivar fn_id: the function's id, ``<app>-<fn>``
    :ivar target: the hashed id of the one step that may run; None if any may
    :ivar event: the first event, as JSON
    :ivar events: all events; None until fetched (``use_api``)
    :ivar steps: memos by hashed step id; None until fetched (``use_api``)
    :ivar attempt: counted from 0, for the step that is being tried
    :ivar max_attempts: the retries plus one; None if the server omits it
    :ivar plan_only: ``disable_immediate_execution``: report new steps instead
        of running them
    :ivar request_id: the server's id of this call; None if it sends none
    :ivar job_id: the server's id of the job behind it; None if it sends none
    :ivar function_uuid: the server's own id of the function, for checkpoints
    :ivar queue_item: the job's place in the server's queue, for checkpoints
    :ivar generation: grows each time that the job is done again
    :ivar trace: the tracing headers of the call, to pass on
    """

    fn_id: str
    target: t.Optional[str]
    run_id: str
    attempt: int
    max_attempts: t.Optional[int]
    plan_only: bool
    event: t.Dict[str, t.Any]
    events: t.Optional[t.List[t.Dict[str, t.Any]]]
    steps: t.Optional[t.Dict[str, t.Any]]
    request_id: t.Optional[str] = _none()
    job_id: t.Optional[str] = _none()
    function_uuid: t.Optional[str] = _none()
    queue_item: t.Optional[str] = _none()
    generation: t.Optional[int] = _none()
    trace: t.Tuple[t.Tuple[str, str], ...] = dataclasses.field(default_factory=tuple)

    @property
    def is_last_attempt(self) -> bool:
        """True if the server does not call again after an error. False where
        it does not say how many attempts there are."""
        return self.max_attempts is not None and self.attempt + 1 >= self.max_attempts


@dataclasses.dataclass
class StepId:
    """The id of one use of a step (PROTOCOL section 6).

    :ivar user_id: as the function's code has it
    :ivar repeat: the number of its earlier uses in this run
    :ivar hashed: as the protocol has it
    """

    user_id: str
    repeat: int
    hashed: str


class RunningStep(t.NamedTuple):
    """A step that is about to run, as the functions of ``step_context`` are
    given it.

    :ivar function_id: the function's id with that of its app, ``shop-welcome``
    :ivar run_id: the id of the run
    :ivar step_id: the step's id, as the function's code has it
    :ivar attempt: how often the step was tried before: 0 the first time
    :ivar key: the same in each attempt of this step, and in no other step or
        run. It has 67 characters, if the run's id has 26
    """

    function_id: str
    run_id: str
    step_id: str
    attempt: int
    key: str


class UserError(t.NamedTuple):
    """An error of the user's code, in the form of the protocol.

    :ivar data: what the server is to keep with a step's error (W13)
    """

    name: str
    message: str
    stack: t.Optional[str] = None
    code: t.Optional[str] = None
    cause: t.Optional[t.Mapping[str, t.Any]] = None
    data: t.Optional[t.Mapping[str, t.Any]] = None


@dataclasses.dataclass
class Op:
    """An operation that a function requests of the server, or reports to it.

    :ivar data: JSON text, encoded when the step ends, so that a value that
        cannot be sent fails the step that made it
    :ivar timing: the start in ns since the epoch, and the duration in ns
    """

    op: str
    id: StepId
    name: str
    opts: t.Optional[t.Mapping[str, t.Any]] = _none()
    data: bytes = dataclasses.field(default_factory=lambda: b"null")
    error: t.Optional[UserError] = _none()
    timing: t.Optional[t.Tuple[int, int]] = _none()


class Idempotency(t.NamedTuple):
    """Makes the server give the same events the same ids whenever they are
    sent, so that sending them again doubles nothing (PROTOCOL section 8).

    :ivar key: the same whenever the same events are sent
    :ivar ts: the same too, in milliseconds since the epoch
    """

    key: str
    ts: int


class Returned(t.NamedTuple):
    """The outcome of a call whose function returned.

    :ivar data: the function's value as JSON text
    """

    data: bytes


class Failed(t.NamedTuple):
    """The outcome of a call whose function raised.

    :ivar retriable: True if the server is to call again
    :ivar retry_after: the ``Retry-After`` that the error asks for
    """

    error: UserError
    retriable: bool
    retry_after: t.Optional[str] = None


@dataclasses.dataclass
class StepsReported:
    """The outcome of a call that ended at one or more steps.

    :ivar ops: never empty: the server would call again at once, for ever
    :ivar retriable: True if a step raised and is to be tried again, False if
        a step raised and is not; None if no step raised
    :ivar retry_after: the ``Retry-After`` that the step's error asks for
    """

    ops: t.Sequence[Op]
    retriable: t.Optional[bool] = _none()
    retry_after: t.Optional[str] = _none()


#: What one call ended in.
Outcome = t.Union[Returned, Failed, StepsReported]
