import app
import web
import with_ctx


def test_the_inner_application_does_not_have_the_endpoint():
    assert app.app.request("/api/inngest").status == "404 Not Found"


def test_nothing_is_left_in_the_thread():
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.1"}
    with with_ctx.webpy_request(dict(environ, **{"wsgi.url_scheme": "http"})):
        assert web.ctx.method == "POST"
    assert not hasattr(web.ctx, "method")
