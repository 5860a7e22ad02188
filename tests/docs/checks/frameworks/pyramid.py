import threading

import app
import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError
from pyramid.threadlocal import get_current_request

import inngest_wsgi as inngest


def test_the_messages():
    config = Configurator()
    with pytest.raises(AttributeError, match="^add_inngest$"):
        config.add_inngest(app.client, [app.welcome])
    config.include("inngest_wsgi.pyramid")
    config.add_inngest(app.client, [app.welcome])
    config.add_inngest(app.client, [app.welcome])
    with pytest.raises(ConfigurationConflictError):
        config.commit()


def test_threads_of_steps(inngest_server):
    client = inngest.Inngest(app_id="shop")

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="e"))
    def f(ctx):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(get_current_request()))
        thread.start()
        thread.join()
        return [seen, get_current_request().method]

    with Configurator() as config:
        config.include("inngest_wsgi.pyramid")
        config.add_inngest(client, [f])
    inngest_server.serve(config.make_wsgi_app())
    assert inngest_server.send("e", {}).run("f").result() == [[None], "POST"]
