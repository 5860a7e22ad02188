"""The servers of the table in docs/streaming.md, with the application of its tests."""

import contextlib
import pathlib
import re
import shutil
import signal
import tempfile

import real_servers
from apps import KEY
from real_servers import (
    APACHE_DAEMON,
    APACHE_EMBEDDED,
    HERE,
    PROXY_PASS,
    UWSGI_PASS,
    Application,
    Row,
    apache,
    gunicorn,
    runner,
    uwsgi,
    waitress,
)

#: What Debian's interpreter needs, in uWSGI and Apache: pure Python all of it,
#: so that it may be taken from another version.
KIT = ("inngest_wsgi", "werkzeug", "markupsafe", "urllib3", "itsdangerous")

GTHREAD = gunicorn("-k", "gthread", "--threads=4")

ROWS = [
    Row("wsgiref", runner("wsgiref")),
    Row("werkzeug", runner("werkzeug")),
    Row("gunicorn sync", gunicorn(), workers=True),
    Row("gunicorn gthread", GTHREAD, workers=True),
    Row("gunicorn gevent", gunicorn("-k", "gevent"), workers=True),
    Row("gevent.pywsgi", runner("gevent")),
    Row("waitress", waitress()),
    Row("waitress, channel_request_lookahead=1", waitress("--channel-request-lookahead=1")),
    Row("cheroot", runner("cheroot"), stop=signal.SIGINT),
    Row("uWSGI, enable-threads", uwsgi("--enable-threads"), workers=True),
    Row("uWSGI, threads=4", uwsgi("--threads=4"), workers=True),
    Row("uWSGI without threads", uwsgi(), workers=True),
    Row("mod_wsgi, daemon", apache(APACHE_DAEMON), workers=True),
    Row("mod_wsgi, embedded", apache(APACHE_EMBEDDED), workers=True),
    Row("nginx, proxy_pass to gunicorn gthread", GTHREAD, PROXY_PASS, workers=True),
    Row(
        "nginx, uwsgi_pass to uWSGI with threads",
        uwsgi("--threads=4", socket="socket"),
        UWSGI_PASS,
        workers=True,
    ),
    Row("eventlet.wsgi", runner("eventlet")),
]


class Server(real_servers.Server):
    """A server of the table."""

    def lost(self, run_id):
        """Return the number of spaces that were requested of a stream that lost
        its connection, or None."""
        try:
            text = (self.place / "streamed.log").read_text()
        except FileNotFoundError:
            return None
        if not re.search(f"Run {run_id} .* lost its connection", text):
            return None
        found = re.search(f"Run {run_id}: ([0-9]+) spaces", text)
        return found and int(found.group(1))


@contextlib.contextmanager
def application():
    """Yield the application; every user can read the directory that it and the
    packages it imports are copied to."""
    with tempfile.TemporaryDirectory() as path:
        place = pathlib.Path(path)
        place.chmod(0o755)
        for name in KIT:
            source = pathlib.Path(str(__import__(name).__file__)).parent
            shutil.copytree(
                str(source),
                str(place / name),
                ignore=shutil.ignore_patterns("__pycache__", "*.so"),
            )
        shutil.copy(str(HERE / "stream_app.py"), path)
        yield Application("stream_app", [str(HERE)], [path], INNGEST_SIGNING_KEY=KEY)
