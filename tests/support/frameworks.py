"""The matrix of docs/frameworks/index.md: frameworks, servers, and what does not run where.

The application of a framework is the module ``in_<name>`` of tests/frameworks/apps.
Beside the endpoints of ``jobs.endpoints`` it has these pages:

* ``GET /page``: 200, "a page", and the mark of the debug toolbar if there is one;
* ``GET /form``: a form with a text field ``text``, and with the hidden field of the
  framework's CSRF protection if it has one;
* ``POST /form``: "saved: " and the text, or 400 or 403 without the token;
* ``GET /error``: raises; 500 with the framework's or the application's error page;
* ``GET /missing``: 404 with the application's "nothing here", where a page can be set;
* ``GET /folder``: a redirect to ``/folder/``, which is 200, where the framework has
  slash redirects or makes them easy.
"""

import functools
import pathlib
import signal
import sys

from real_servers import APACHE_DAEMON, Row, apache, gunicorn, python, runner, uwsgi, waitress

APPS = pathlib.Path(__file__).resolve().parents[1] / "frameworks" / "apps"

#: Columns of the matrix.
VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
HERE = "{}.{}".format(*sys.version_info[:2])

SERVERS = [
    Row("gunicorn sync", gunicorn()),
    Row("gunicorn gthread", gunicorn("-k", "gthread", "--threads=4")),
    Row("gunicorn gevent", gunicorn("-k", "gevent")),
    Row("waitress", waitress()),
    Row("cheroot", runner("cheroot"), stop=signal.SIGINT),
    Row("uWSGI", uwsgi("--threads=4")),
    Row("mod_wsgi", apache(APACHE_DAEMON)),
    Row("wsgiref", runner("wsgiref")),
]
#: These embed the interpreter for which Debian has built them.
OF_DEBIAN = ("uWSGI", "mod_wsgi")
#: These refuse a body without a length.
NO_CHUNKED = ("wsgiref", "uWSGI", "mod_wsgi", "`python -m bottle`", "`manage.py runserver`")
#: Under which applications are mounted below a prefix, too.
PREFIXED = "waitress"
#: On further interpreters.
FEW = ("gunicorn gthread", "waitress")


class Framework:
    """A framework, and what its application shows.

    :ivar name: as in the table
    :ivar module: of its application
    :ivar distribution: on PyPI; None if it has none
    :ivar csrf: the form wants a token
    :ivar error: a text in the page of ``/error``
    :ivar errors: the same for servers that show another one, by name
    :ivar missing: a text in the page of ``/missing``
    :ivar toolbar: a text that the debug toolbar puts into ``/page``
    :ivar no_toolbar: servers under which the toolbar does not work
    :ivar slash: the status of the redirect of ``/folder``, or None
    :ivar own: the framework's own server
    :ivar no_own: the reason why there is none
    :ivar needs: the oldest Python, and the reason
    :ivar until: the newest Python, and the reason
    :ivar not_under: servers under which the framework does not run, and why
    """

    def __init__(
        self,
        name,
        module,
        distribution=None,
        *,
        csrf=False,
        error="something broke",
        errors=None,
        missing="nothing here",
        toolbar=None,
        no_toolbar=(),
        slash=None,
        own=None,
        no_own="The framework has no server of its own",
        needs=None,
        until=None,
        not_under=None,
    ):
        self.name = name
        self.module = module
        self.distribution = distribution
        self.csrf = csrf
        self.error = error
        self.errors = errors or {}
        self.missing = missing
        self.toolbar = toolbar
        self.no_toolbar = no_toolbar
        self.slash = slash
        self.own = own
        self.no_own = no_own
        self.needs = needs
        self.until = until
        self.not_under = not_under or {}

    def why_not(self, server, version):
        """Return the reason why a cell does not run, or None."""
        number = _number(version)
        for limit, wrong in ((self.needs, -1), (self.until, 1)):
            if limit and (number > _number(limit[0])) - (number < _number(limit[0])) == wrong:
                return limit[1]
        if server in self.not_under:
            return self.not_under[server]
        if server in OF_DEBIAN and version != debian_python():
            return DEBIAN
        return None

    def reasons(self, column):
        """Return the reason for each version of Python on which this does not run."""
        if column == OWN and not self.own:
            return dict.fromkeys(VERSIONS, self.no_own)
        server = self.own.name if column == OWN else column
        found = {version: self.why_not(server, version) for version in VERSIONS}
        return {version: reason for version, reason in found.items() if reason}


DEBIAN = "Debian's uWSGI and mod_wsgi have Debian's Python, which is 3.11"


def bottle_cli(port, place, application):
    return python("-m", "bottle", f"--bind=127.0.0.1:{port}", application.name)


BY_A_FILE = "`pserve` and `gearbox serve` start the server that their file names, such as waitress"


def flask_cli(port, place, application):
    return python("-m", "flask", "--app", application.name, "run", f"--port={port}")


def runserver(port, place, application):
    arguments = ["runserver", "--noreload", "--nostatic", f"127.0.0.1:{port}"]
    code = (
        f"import {application.module}\n"
        "from django.core.management import execute_from_command_line\n"
        f"execute_from_command_line({['manage.py', *arguments]})"
    )
    return python("-c", code)


FRAMEWORKS = [
    Framework(
        "Bottle",
        "in_bottle",
        "bottle",
        slash=303,
        errors={"uWSGI": ""},
        own=Row("`python -m bottle`", bottle_cli),
    ),
    Framework(
        "CherryPy",
        "in_cherrypy",
        "cherrypy",
        slash=301,
        own=Row("CherryPy's server", runner("cherrypy")),
    ),
    Framework(
        "Django",
        "in_django",
        "django",
        csrf=True,
        toolbar="djDebug",
        slash=301,
        own=Row("`manage.py runserver`", runserver),
    ),
    Framework("Falcon", "in_falcon", "falcon", slash=301),
    Framework(
        "Flask",
        "in_flask",
        "flask",
        csrf=True,
        toolbar="flDebug",
        slash=308,
        own=Row("`flask run`", flask_cli),
    ),
    Framework(
        "Pyramid",
        "in_pyramid",
        "pyramid",
        csrf=True,
        toolbar="pDebug",
        # Apache's own processes make it "multiprocess", where the toolbar is off
        no_toolbar=("mod_wsgi",),
        no_own=BY_A_FILE,
        slash=307,
    ),
    Framework(
        "TurboGears 2", "in_turbogears", "turbogears2", toolbar="tgdb_debugbar", no_own=BY_A_FILE
    ),
    Framework("WebOb", "in_webob", "webob", slash=301),
    Framework(
        "web.py",
        "in_webpy",
        "web.py",
        slash=301,
        own=Row("`web.httpserver.runsimple`", runner("webpy")),
    ),
    Framework(
        "plain WSGI",
        "in_wsgi",
        slash=301,
        own=Row("`werkzeug.serving.run_simple`", runner("werkzeug")),
    ),
]


def _number(version):
    return [int(part) for part in version.split(".")]


def debian_python():
    """Return the version for which Debian 12 has built uWSGI and mod_wsgi."""
    return "3.11"


class Cell:
    """A framework under a server, on this interpreter."""

    def __init__(self, framework, row):
        self.framework = framework
        self.row = row

    @property
    def id(self):
        return f"{self.framework.name}-{self.row.name}"

    @property
    def column(self):
        """The column of the table: the framework's own server has no name there."""
        return OWN if self.row is self.framework.own else self.row.name


#: The column of the frameworks' own servers.
OWN = "its own server"
COLUMNS = [row.name for row in SERVERS] + [OWN]


@functools.lru_cache(maxsize=None)
def cells(few=False):
    """Return the cells that this interpreter runs, the same objects each time.

    pytest starts a server again for another object.

    :param few: only some servers for each framework
    """
    found = []
    for framework in FRAMEWORKS:
        rows = SERVERS + ([framework.own] if framework.own else [])
        for row in rows:
            if few and row.name not in FEW and row is not framework.own:
                continue
            if framework.why_not(row.name, HERE) is None:
                found.append(Cell(framework, row))
    return found
