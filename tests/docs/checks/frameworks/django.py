import django
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import reverse
from werkzeug.test import Client

django.setup()


def test_the_name():
    assert reverse("inngest") == "/api/inngest"


def test_a_host_that_is_not_allowed(caplog):
    answer = Client(WSGIHandler()).get("/api/inngest", base_url="http://other.example")
    assert answer.status_code == 400
    assert "Invalid HTTP_HOST header" in caplog.text


def test_a_redirect():
    call = "/api/inngest?fnId=accounts-invite&stepId=step"
    with override_settings(SECURE_SSL_REDIRECT=True):
        client = Client(WSGIHandler())
        answer = client.post(call, data=b"{}")
        assert (answer.status_code, answer.location) == (301, f"https://localhost{call}")
        headers = {"Referer": f"http://localhost{call}"}
        told = client.get(call, base_url="https://localhost", headers=headers).text
    wanted = (
        "A call of function 'accounts-invite' came as a GET: something before this app redirects"
    )
    assert wanted in told and "from http://localhost/api/inngest" in told


@pytest.mark.parametrize("path", ["/api/inngest", "/api/inngest/"])
def test_both_forms_of_the_path(path):
    assert Client(WSGIHandler()).get(path).status_code == 200
