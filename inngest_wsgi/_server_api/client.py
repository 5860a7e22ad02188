"""Our own requests to the server. The only user of urllib3."""

from __future__ import annotations

import logging
import os
import random
import time
import typing as t
import urllib.parse

import urllib3

from .. import _protocol as p, errors
from .._security.keys import BRANCH_KEY_PREFIX
from .._security.signing import Keyring, SigningKey
from .._settings import Settings
from .response import Answer

_Pairs = t.Sequence[t.Tuple[str, str]]


class Pool(t.Protocol):
    """What the ``http`` option must have: urllib3's ``request()``."""

    def request(self, method: str, url: str, **kwargs: t.Any) -> t.Any: ...


class Retry(t.NamedTuple):
    """When a request is tried again, and after how long.

    The wait doubles with each attempt and is drawn from its upper half, so
    that many clients that failed together do not return together.

    :ivar attempts: how often at the most, the first time included
    :ivar first_s: the longest wait before the second attempt, in seconds
    :ivar longest_s: no wait is longer than this, in seconds
    """

    attempts: int
    first_s: float = 0.2
    longest_s: float = 5.0

    def again(self, status: t.Optional[int]) -> bool:
        """Whether an answer with this status, or None for no answer, is one
        that another attempt may better."""
        return status is None or status == 429 or status >= 500

    def wait_s(self, attempt: int) -> float:
        """The wait after an attempt, counted from 1, in seconds."""
        longest = min(self.longest_s, self.first_s * 2 ** (attempt - 1))
        return random.uniform(longest / 2, longest)


#: PROTOCOL section 8.
SEND_RETRY = Retry(attempts=5)
#: Who waits for a signal is told at most once.
SIGNAL_RETRY = Retry(attempts=3)
#: A call whose state cannot be fetched is retried by the server anyway.
FETCH_RETRY = Retry(attempts=3)


#: How long one address of a server may take to answer at all where time is
#: short, in seconds.
CONNECT_TIMEOUT_S = 5.0
#: What is shorter, in characters, keeps no secret.
SHORTEST_SECRET = 8

#: How long somebody waits to be told whether a server is there, in seconds.
LOOK_TIMEOUT_S = 3.0


class Look(t.NamedTuple):
    """That a server answered, and what its headers say.

    :ivar kind: ``X-Inngest-Server-Kind``
    :ivar content_type: without parameters
    """

    status: int
    kind: t.Optional[str]
    content_type: str


class Http:
    """The way to the server's two APIs.

    :param pool: anything with urllib3's ``request()``; None for a
        ``PoolManager`` of our own
    """

    def __init__(self, settings: Settings, pool: t.Optional[Pool] = None) -> None:
        self._settings = settings
        self._keyring = Keyring(settings.signing_key, settings.signing_key_fallback)
        #: what a server may say back to us, and nobody is to read
        self._secrets = _secrets(settings, self._keyring)
        self._pool = pool
        self._own: t.Optional[t.Tuple[int, Pool]] = None
        self._headers = {
            p.HEADER_CONTENT_TYPE: "application/json",
            p.HEADER_SDK: p.SDK_IDENTITY,
            p.HEADER_USER_AGENT: p.SDK_IDENTITY,
            p.HEADER_FRAMEWORK: p.FRAMEWORK,
        }
        if settings.env is not None:
            self._headers[p.HEADER_ENV] = settings.env
        if settings.platform is not None:
            self._headers[p.HEADER_PLATFORM] = settings.platform

    def api(
        self,
        method: str,
        path: str,
        *,
        retry: Retry,
        body: t.Optional[bytes] = None,
        query: _Pairs = (),
        headers: _Pairs = (),
        deadline_s: t.Optional[float] = None,
    ) -> Answer:
        """A request to the API, with the signing key as its bearer. Where
        that is refused (401, 403), once more with the fallback key (PROTOCOL
        section 3); where that is, too, with the first one again: the server
        may have changed its key between the two.

        :param deadline_s: how long all of that may take, in seconds
        :raises errors.ApiError: there was no answer
        """
        url = self._settings.api_origin + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        merged = dict(self._headers, **dict(headers))
        keys: t.Tuple[t.Optional[SigningKey], ...] = self._keyring.keys or (None,)
        if len(keys) > 1:
            keys += keys[:1]
        until = None if deadline_s is None else time.monotonic() + deadline_s
        refused: t.Optional[Answer] = None
        for key in keys:
            if key is not None:
                merged[p.HEADER_AUTHORIZATION] = "Bearer " + key.bearer
            try:
                answer = self._attempts(method, url, body, merged, retry, "The Inngest API", until)
            except errors.ApiError:
                if refused is None:
                    raise
                # it did answer, and that is what is wrong
                break
            if answer.status not in _REFUSED:
                return answer
            refused = answer
            if until is not None and time.monotonic() >= until:
                break
        assert refused is not None
        return refused._replace(advice=self._about_signing_keys())

    def event_api(
        self,
        body: bytes,
        *,
        seed: str,
        retry: Retry,
        trace: _Pairs = (),
        deadline_s: t.Optional[float] = None,
    ) -> Answer:
        """Send a JSON array of events (PROTOCOL section 8).

        :param seed: ``X-Inngest-Event-Id-Seed``, the same for every attempt
        :param trace: tracing headers to pass on
        :param deadline_s: how long all attempts may take, in seconds
        :raises errors.ApiError: there was no answer
        """
        key = self._settings.event_key or p.NO_EVENT_KEY
        quoted = urllib.parse.quote(key, safe="")
        _hide_event_key(quoted)
        url = self._settings.event_api_origin + p.PATH_EVENT + quoted
        merged = dict(self._headers, **dict(trace))
        merged[p.HEADER_EVENT_ID_SEED] = seed
        until = None if deadline_s is None else time.monotonic() + deadline_s
        answer = self._attempts("POST", url, body, merged, retry, "The Inngest event API", until)
        if answer.status not in _REFUSED:
            return answer
        advice = _NO_KEY if self._settings.event_key is None else _KEY_REFUSED
        origin = self._settings.event_api_origin
        return answer._replace(advice=advice.format(origin, "event key", p.ENV_EVENT_KEY))

    def look(self, url: str) -> Look:
        """One GET, without a key, only to see what is there.

        :raises errors.ApiError: there was no answer within a short time
        """
        try:
            response = self._connected().request(
                "GET",
                url,
                timeout=LOOK_TIMEOUT_S,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            # what is behind the headers may be long in coming
            response.close()
        except urllib3.exceptions.HTTPError as error:
            raise errors.ApiError(
                "The server at {} cannot be reached: {}".format(_origin_of(url), _reason(error))
            ) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        content_type = headers.get(p.HEADER_CONTENT_TYPE.lower(), "").partition(";")[0]
        return Look(
            response.status,
            headers.get(p.HEADER_SERVER_KIND.lower()),
            content_type.strip().lower(),
        )

    def _about_signing_keys(self) -> str:
        settings = self._settings
        advice = _KEY_REFUSED if self._keyring.keys else _NO_KEY
        variables = p.ENV_SIGNING_KEY
        if settings.signing_key_fallback is not None:
            variables += " and " + p.ENV_SIGNING_KEY_FALLBACK
        text = advice.format(settings.api_origin, "signing key", variables)
        if settings.env is None and BRANCH_KEY_PREFIX in (settings.signing_key or ""):
            text += " The key of a branch environment also needs {}.".format(p.ENV_ENV)
        return text

    def _attempts(
        self,
        method: str,
        url: str,
        body: t.Optional[bytes],
        headers: t.Mapping[str, str],
        retry: Retry,
        what: str,
        until: t.Optional[float] = None,
    ) -> Answer:
        """
        :param until: when it must be over, by the monotonic clock
        """
        attempt = 1
        while True:
            status: t.Optional[int] = None
            wait_s = retry.wait_s(attempt)
            last = attempt == retry.attempts
            timeout: t.Union[float, urllib3.Timeout] = self._settings.request_timeout
            if until is not None:
                left = max(0.001, min(self._settings.request_timeout, until - time.monotonic()))
                # a name may have several addresses, and each is tried
                timeout = urllib3.Timeout(connect=min(left, CONNECT_TIMEOUT_S), read=left)
            try:
                # urllib3 would log the address of each of its own retries,
                # and the event key is a part of the address
                response = self._connected().request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                )
                status = response.status
                late = until is not None and time.monotonic() + wait_s >= until
                if last or late or not retry.again(status):
                    redirect = response.status in _REDIRECTS
                    location = response.headers.get("Location", "") if redirect else None
                    origin = _origin_of(url)
                    return Answer(response.status, response.data, origin, location, self._secrets)
            except urllib3.exceptions.HTTPError as error:
                late = until is not None and time.monotonic() + wait_s >= until
                if last or late:
                    raise errors.ApiError(
                        "{} at {} cannot be reached: {}".format(
                            what, _origin_of(url), _reason(error)
                        )
                    ) from None
            time.sleep(wait_s)
            attempt += 1

    def _connected(self) -> Pool:
        """The pool of this process: a socket that was opened before a fork
        must not be used on both sides of it."""
        if self._pool is not None:
            return self._pool
        pid = os.getpid()
        if self._own is None or self._own[0] != pid:
            self._own = (pid, urllib3.PoolManager(maxsize=10))
        return self._own[1]


_REFUSED = (401, 403)
_REDIRECTS = (301, 302, 303, 307, 308)
_KEY_REFUSED = (
    "The server at {0} does not accept the {1} of this application: compare {2} with what "
    "Inngest shows for this environment."
)
_NO_KEY = "The server at {0} wants a {1}, and this application has none: set {2}."


def _secrets(settings: Settings, keyring: Keyring) -> t.Tuple[str, ...]:
    found = [key.hash for key in keyring.keys]
    key = settings.event_key
    # a dev server takes any word, and one that is short may be anywhere
    if key is not None and len(key) >= SHORTEST_SECRET:
        found += [key, urllib.parse.quote(key, safe="")]
    return tuple(found)


def _origin_of(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """urllib3's messages may quote the address, and with it the event key."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return "{} ({})".format(cause.strerror, type(error).__name__)
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time ({})".format(type(error).__name__)
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "what came is no HTTP answer, or not the whole of one ({}: {})".format(
            type(error).__name__, type(cause).__name__
        )
    return type(error).__name__


class _HideEventKeys(logging.Filter):
    """urllib3 logs the path of each request at level DEBUG."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: t.Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(self._without_keys, record.args))
        return True

    def _without_keys(self, value: t.Any) -> t.Any:
        if isinstance(value, str):
            for key in tuple(self.keys):
                value = value.replace(p.PATH_EVENT + key, p.PATH_EVENT + "...")
        return value


_hide = _HideEventKeys()


def _hide_event_key(quoted: str) -> None:
    _hide.keys.add(quoted)
    # at each request: it is added once, and whoever sets up logging anew may
    # have taken it away
    logging.getLogger("urllib3.connectionpool").addFilter(_hide)
