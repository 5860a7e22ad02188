import app
import pytest
import tg
import with_request
from tg.configurator import MinimalApplicationConfigurator
from tg.controllers import WSGIAppController

import inngest_wsgi as inngest
from inngest_wsgi.testing import SyncError


def test_a_controller_redirects(inngest_server):
    class Api(tg.TGController):
        inngest = WSGIAppController(inngest.serve(app.client, [app.welcome]))

    class Root(tg.TGController):
        api = Api()

    configurator = MinimalApplicationConfigurator()
    configurator.update_blueprint(
        {"root_controller": Root(), "renderers": ["json"], "make_body_seekable": True}
    )
    with pytest.raises(SyncError, match="something before this app redirects it"):
        inngest_server.serve(configurator.make_wsgi_app({}, {}))


def test_there_is_no_session():
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/api/inngest"}
    with with_request.turbogears_request(environ):
        assert tg.session._current_obj() is None
        assert tg.request.path == "/api/inngest"
