import functools
import inspect

import pytest

import inngest_wsgi as inngest
from inngest_wsgi.function import Options

EVENT = inngest.TriggerEvent(event="shop/order.placed")


@pytest.fixture
def client():
    return inngest.Inngest(app_id="shop", is_production=False)


async def coroutine(ctx):
    pass


async def async_generator(ctx):
    yield


def generator(ctx):
    yield


class AsyncObject:
    async def __call__(self, ctx):
        pass


def plain(ctx):
    return None


@pytest.mark.parametrize(
    "handler, said",
    [
        (coroutine, "async def"),
        (async_generator, "async def"),
        (functools.partial(coroutine, None), "async def"),
        (AsyncObject(), "async def"),
        (generator, "yield"),
        ("text", "called"),
    ],
)
def test_a_handler_that_could_not_run_is_refused_when_it_is_declared(client, handler, said):
    with pytest.raises(inngest.FunctionConfigError, match="'f'.*" + said):
        client.create_function(fn_id="f", trigger=EVENT)(handler)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"fn_id": ""}, "fn_id"),
        ({"fn_id": 3}, "fn_id"),
        ({"name": ""}, "name"),
        ({"retries": -1}, "retries"),
        ({"retries": 21}, "0 to 20"),
        ({"retries": True}, "retries"),
        (
            {"trigger": "shop/order.placed"},
            "must be a TriggerEvent, a TriggerCron, or a list of them, not 'shop/order.placed'",
        ),
        ({"trigger": []}, "TriggerEvent"),
        ({"trigger": [EVENT, None]}, "TriggerEvent"),
        ({"trigger": [EVENT] * 11}, "11 entries; the most is 10"),
    ],
)
def test_an_invalid_declaration_is_refused(client, options, said):
    with pytest.raises(inngest.FunctionConfigError, match=said):
        client.create_function(**dict({"fn_id": "f", "trigger": EVENT}, **options))(plain)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inngest.TriggerEvent(event=""),
        lambda: inngest.TriggerEvent(event="a", expression=" "),
        lambda: inngest.TriggerCron(cron=""),
        lambda: inngest.TriggerCron(cron=None),  # type: ignore[arg-type]
    ],
)
def test_an_empty_trigger_is_refused(make):
    with pytest.raises(ValueError, match="text"):
        make()


def test_two_functions_with_one_id_are_refused(client):
    twice = [client.create_function(fn_id="f", trigger=EVENT)(plain) for _ in range(2)]
    with pytest.raises(inngest.FunctionConfigError, match="'f'.*two functions"):
        inngest.serve(client, twice)


@pytest.mark.parametrize("functions", [[], None, [plain], plain, ["f"]])
def test_a_list_that_holds_no_functions_is_refused(client, functions):
    with pytest.raises(inngest.SettingsError, match="functions: .*create_function"):
        inngest.serve(client, functions)


@pytest.mark.parametrize(
    "options, named", [({"client": "shop"}, "client"), ({"http": object()}, "http")]
)
def test_invalid_arguments_of_serve_are_refused(client, options, named):
    function = client.create_function(fn_id="f", trigger=EVENT)(plain)
    with pytest.raises(inngest.SettingsError, match=named):
        inngest.serve(**dict({"client": client, "functions": [function]}, **options))


def test_the_handler_stays_callable_for_unit_tests(client):
    function = client.create_function(fn_id="f", trigger=EVENT)(plain)
    assert function.handler is plain


@pytest.mark.parametrize(
    "make, field",
    [
        (lambda: inngest.Event(name=""), "name"),
        (lambda: inngest.Event(name="a", data=[1]), "data"),  # type: ignore[arg-type]
        (lambda: inngest.Event(name="a", id=3), "id"),  # type: ignore[arg-type]
        (lambda: inngest.Event(name="a", ts=1.5), "ts"),  # type: ignore[arg-type]
    ],
)
def test_an_event_that_cannot_be_sent_is_refused(make, field):
    with pytest.raises(ValueError, match=field):
        make()


def test_the_parameters_of_create_function_are_the_fields_of_options():
    _, *parameters = inspect.signature(inngest.Inngest.create_function).parameters.values()
    defaults = {x.name: x.default for x in parameters if x.default is not x.empty}
    assert tuple(x.name for x in parameters) == Options._fields
    assert defaults == Options._field_defaults
