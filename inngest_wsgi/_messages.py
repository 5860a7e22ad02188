"""The immutable values that pass between packages: requests and responses,
calls, ops, and what a call ended in."""

from __future__ import annotations

import typing as t

Headers = t.List[t.Tuple[str, str]]


class Address(t.NamedTuple):
    """Where this endpoint is, as a request to it tells.

    :ivar origin: scheme, host and port; None where the request does not say,
        or says what is no host
    :ivar path: the path, percent-encoded
    :ivar mount: the part of the path at which we are mounted; empty where we
        are not, or cannot know
    """

    origin: t.Optional[str] = None
    path: str = "/"
    mount: str = ""


class Request(t.NamedTuple):
    """A request to the endpoint, read whole.

    :ivar method: upper case
    :ivar query: the query's parameters, the first value of each
    :ivar headers: by lower-case name
    :ivar body: the bytes as they arrived
    :ivar address: ours, as this request came to it, where somebody will ask
    :ivar concurrent: whether the server answers others meanwhile, where
        somebody will ask
    :ivar raw: the request as the server gave it, for middleware
    """

    method: str
    query: t.Mapping[str, str]
    headers: t.Mapping[str, str]
    body: bytes
    address: Address = Address()
    raw: t.Any = None
    concurrent: bool = True


class Chunks(t.Protocol):
    """What a WSGI server iterates over, and closes (PEP 3333)."""

    def __iter__(self) -> t.Iterator[bytes]: ...

    def close(self) -> None: ...


class Response(t.NamedTuple):
    """An answer of the endpoint.

    :ivar status: the HTTP status code
    :ivar headers: complete, the signature among them once it is signed
    :ivar body: the bytes to send
    :ivar stream: what to iterate over instead, for a streamed answer
    """

    status: int
    headers: Headers
    body: bytes
    stream: t.Optional[Chunks] = None

    def adding(self, *headers: t.Tuple[str, str]) -> "Response":
        """The same with these headers too."""
        return self._replace(headers=[*self.headers, *headers])


class Call(t.NamedTuple):
    """One call of a function, as the server describes it (PROTOCOL section 6).

    :ivar fn_id: the function, ``<app>-<fn>``
    :ivar target: hash of the one step that may run, or None where any may
    :ivar event: the first event, as JSON
    :ivar events: all of them; None until fetched (``use_api``)
    :ivar steps: memos by hashed step id; None until fetched (``use_api``)
    :ivar attempt: counted from 0, for the step that is being tried
    :ivar max_attempts: retries and one; None where the server does not say
    :ivar plan_only: ``disable_immediate_execution``: report new steps instead
        of running them
    :ivar request_id: the server's id of this call, where it gives one
    :ivar job_id: the server's id of the job it is for, where it gives one
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
    request_id: t.Optional[str] = None
    job_id: t.Optional[str] = None
    trace: t.Tuple[t.Tuple[str, str], ...] = ()

    @property
    def is_last_attempt(self) -> bool:
        """True if the server does not call again after an error. False where
        it does not say how many attempts there are."""
        return self.max_attempts is not None and self.attempt + 1 >= self.max_attempts


class StepId(t.NamedTuple):
    """The id of one use of a step (PROTOCOL section 6).

    :ivar user_id: as the function wrote it
    :ivar repeat: how many times it was used before in this run
    :ivar hashed: as the wire knows it
    """

    user_id: str
    repeat: int
    hashed: str


class UserError(t.NamedTuple):
    """An error of the user's code, in the form in which it is sent."""

    name: str
    message: str
    stack: t.Optional[str] = None
    code: t.Optional[str] = None
    cause: t.Optional[t.Mapping[str, t.Any]] = None


class Op(t.NamedTuple):
    """Something that a function asks of the server, or tells it.

    :ivar data: JSON text, encoded when the step ended so that a value that
        cannot be sent fails the step that made it
    :ivar timing: start in ns since the epoch, and duration in ns
    """

    op: str
    id: StepId
    name: str
    opts: t.Optional[t.Mapping[str, t.Any]] = None
    data: bytes = b"null"
    error: t.Optional[UserError] = None
    timing: t.Optional[t.Tuple[int, int]] = None


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


class StepsReported(t.NamedTuple):
    """The outcome of a call that ended at one or more steps.

    :ivar ops: never empty: the server would call again at once, for ever
    :ivar retriable: True if a step raised and is to be tried again, False if
        a step raised and is not; None if no step raised
    :ivar retry_after: the ``Retry-After`` that the step's error asks for
    """

    ops: t.Sequence[Op]
    retriable: t.Optional[bool] = None
    retry_after: t.Optional[str] = None


#: What one call ended in.
Outcome = t.Union[Returned, Failed, StepsReported]
