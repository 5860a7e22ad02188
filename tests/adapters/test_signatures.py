"""The adapters take the settings of ``serve()``, each by its name and with its type."""

import inspect
import typing as t

import pytest
from test_answers import declare, returns

import inngest_wsgi as inngest
import inngest_wsgi.django
import inngest_wsgi.flask
import inngest_wsgi.pyramid
from inngest_wsgi import _adapters

ADAPTERS = [
    inngest_wsgi.flask.serve,
    inngest_wsgi.django.serve,
    inngest_wsgi.pyramid.add_inngest,
]
#: Each adapter has these, to do more with them.
OWN = {"serve_path", "call_context"}


def keywords(function):
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if each.kind is each.KEYWORD_ONLY}


def test_the_typed_settings_are_those_of_serve():
    hints = t.get_type_hints(inngest.serve)
    wanted = {name: hints[name] for name in keywords(inngest.serve) if name not in OWN}
    assert t.get_type_hints(_adapters.ServeSettings) == wanted


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_signature_shows_every_setting(adapter):
    found = dict(keywords(adapter))
    assert found.pop("public_path") is None
    found.pop("route_name", None)
    assert found == keywords(inngest.serve)
    shown = inspect.signature(adapter).parameters.values()
    assert not [each for each in shown if each.kind is each.VAR_KEYWORD]
    hints = t.get_type_hints(inngest.serve)
    mine = t.get_type_hints(adapter)
    assert {name: mine[name] for name in found} == {name: hints[name] for name in found}


def test_an_unknown_setting_is_refused():
    import flask

    with pytest.raises(TypeError, match="stream"):
        inngest_wsgi.flask.serve(flask.Flask("shop"), *declare(returns), stream="allow")  # type: ignore[call-arg]
