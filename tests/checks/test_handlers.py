"""Handlers are refused when they are declared, and only if no call could work."""

import functools
import inspect
import typing

import pytest
from hypothesis import given, settings, strategies as st

import inngest_wsgi as inngest
from inngest_wsgi._checks import handlers

EVENT = inngest.TriggerEvent(event="shop/order.placed")


def declare(handler, **options):
    client = inngest.Inngest(app_id="shop", is_production=False)
    return client.create_function(fn_id="f", trigger=EVENT, **options)(handler)


def plain(ctx):
    return None


def old_form(ctx, step):
    return None


def none():
    return None


class Shop:
    def method(self, ctx):
        return None

    def old_method(self, ctx, step):
        return None

    def no_argument():  # type: ignore[misc]
        return None

    @classmethod
    def of_class(cls, ctx):
        return None

    @staticmethod
    def static(ctx):
        return None

    @staticmethod
    def old_static(ctx, step):
        return None


class Callable:
    def __call__(self, ctx):
        return None


class OldCallable:
    def __call__(self, ctx, step):
        return None


class StaticCallable:
    @staticmethod
    def __call__(ctx):
        return None


class OfClass:
    @classmethod
    def __call__(cls, ctx):
        return None


def gives_database(function):
    @functools.wraps(function)
    def wrapper(ctx):
        return function(ctx, "database")

    return wrapper


def gives_context_alone(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def states_a_signature(function):
    wrapper = gives_database(function)
    wrapper.__signature__ = inspect.signature(function)
    return wrapper


GOOD = [
    plain,
    Shop().method,
    Shop.of_class,
    Shop.static,
    Callable(),
    StaticCallable(),
    OfClass(),
    lambda ctx, step=None: None,
    lambda *args: None,
    lambda ctx, *, option=1: None,
    lambda ctx, **options: None,
    functools.partial(old_form, "ctx"),
    functools.partial(old_form, step="step"),
    functools.partial(functools.partial(old_form), step=1),
    functools.partial(Shop().old_method, step=1),
    functools.partial(OldCallable(), step=1),
    functools.lru_cache(maxsize=None)(plain),
    gives_database(old_form),
    states_a_signature(old_form),
    gives_context_alone(plain),
    print,
    str,
]


@pytest.mark.parametrize("handler", GOOD)
def test_a_handler_that_takes_the_context_is_declared(handler):
    assert declare(handler).handler is handler
    assert declare(plain, on_failure=handler) is not None


TWO = "takes two arguments.*write def handler\\(ctx\\), and ctx.step for step"
NONE = "takes no argument.*write def handler\\(ctx\\)"
OTHER = "cannot be called with one argument"


@pytest.mark.parametrize(
    "handler, said",
    [
        (old_form, TWO),
        (Shop().old_method, TWO),
        (Shop.old_static, TWO),
        (Shop.method, TWO),
        (OldCallable(), TWO),
        (functools.partial(lambda a, ctx, step: None, 1), TWO),
        (lambda ctx, step, more=1: None, TWO),
        (none, NONE),
        (getattr(Shop(), "no_argument"), OTHER),  # noqa: B009 - mypy sees it too
        (functools.partial(plain, "ctx"), NONE),
        (functools.partial(plain, ctx=1), NONE),
        (lambda **options: None, NONE),
        (lambda ctx, *, option: None, OTHER),
        (lambda a, b, c: None, OTHER),
    ],
)
def test_a_handler_that_does_not_is_refused(handler, said):
    with pytest.raises(inngest.FunctionConfigError, match="'f': the function " + said):
        declare(handler)
    with pytest.raises(inngest.FunctionConfigError, match="'f': on_failure " + said):
        declare(plain, on_failure=handler)


def test_the_context_may_take_the_place_that_a_partial_leaves_open(monkeypatch):
    """As functools.Placeholder does from Python 3.14 on."""
    place = object()
    monkeypatch.setattr(handlers, "_PLACEHOLDER", place)
    declare(functools.partial(old_form, place, "step"))
    one: typing.Any = plain
    for wrong in (functools.partial(old_form, place, place), functools.partial(one, place, 1)):
        with pytest.raises(inngest.FunctionConfigError):
            declare(wrong)


PARAMETERS = st.tuples(
    st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans()
)


def made(positional, defaults, by_name, varargs, keywords):
    """Return a function with a signature, and its source."""
    defaults = min(defaults, positional)
    parts = [f"p{n}" if n < positional - defaults else f"p{n}=0" for n in range(positional)]
    if varargs or by_name:
        parts.append("*rest" if varargs else "*")
    parts += [f"k{n}=0" if n else "k0" for n in range(by_name)]
    if keywords:
        parts.append("**more")
    found = {}
    exec(f"def handler({', '.join(parts)}): return 'called'", found)
    return found["handler"]


@settings(max_examples=3 * settings().max_examples)
@given(
    PARAMETERS,
    st.integers(0, 2),
    st.dictionaries(st.sampled_from(["p0", "p1", "k0", "k1", "x"]), st.just(1), max_size=2),
    st.sampled_from(["function", "partial", "method", "callable", "wrapped"]),
)
def test_what_is_refused_is_what_python_cannot_call(parameters, given_before, named, form):
    handler = made(*parameters)
    if form == "partial":
        handler = functools.partial(handler, *range(given_before), **named)
    elif form == "method":
        handler = handler.__get__(object())
    elif form == "callable":
        handler = type("Handler", (), {"__call__": handler})()
    elif form == "wrapped":
        handler = gives_context_alone(handler)
    try:
        works = handler("ctx") == "called"
    except TypeError:
        works = False
    try:
        declare(handler)
        refused = False
    except inngest.FunctionConfigError:
        refused = True
    # that of a wrapper which takes anything shows only when it is called
    assert refused is not works or (form == "wrapped" and not refused)
