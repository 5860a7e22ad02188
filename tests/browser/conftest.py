import contextlib

import pytest
from browser_shop import browser
from stub_server import serving


@pytest.fixture(scope="session")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture
def serve():
    """Serve an application until the end of the test; return its origin."""
    with contextlib.ExitStack() as stack:
        yield lambda application: stack.enter_context(serving(application))


@pytest.fixture
def open_page(chromium, serve):
    """Open an endpoint in the browser. The test fails if an error occurs in the
    page, or if the page sends a request to another origin."""
    contexts, wrong = [], []

    def open_page(origin, expected=(), query="", **options):
        options.setdefault("viewport", {"width": 1180, "height": 820})
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90000)

        def said(message):
            # a browser logs each answer that is an error
            if not any(part in message.text for part in expected):
                wrong.append(message.text)

        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append("a dialog: " + dialog.message))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((origin + "/", "data:")) or wrong.append(request.url)
            ),
        )
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', (violation) => "
            "console.error('policy: ' + violation.violatedDirective))"
        )
        page.goto(origin + "/api/inngest" + query)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
