"""The servers of the table in docs/streaming.md, and how to run each."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from apps import KEY

HERE = pathlib.Path(__file__).resolve().parent
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")

#: What Debian's interpreter needs, in uWSGI and Apache: pure Python all of it,
#: so that it may be taken from another version.
KIT = ("inngest_wsgi", "werkzeug", "markupsafe", "urllib3", "itsdangerous")

APACHE = """
ServerName 127.0.0.1
ServerRoot {place}
DefaultRuntimeDir {place}
PidFile {place}/apache.pid
ErrorLog {place}/log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User {user}
Group {group}
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
WSGISocketPrefix {place}/wsgi
WSGIScriptAlias / {place}/application.wsgi
<Directory {place}>
    Require all granted
</Directory>
"""
APACHE_DAEMON = """
WSGIDaemonProcess streamed processes=1 threads=8 python-path={kit}
WSGIProcessGroup streamed
WSGIApplicationGroup %{{GLOBAL}}
"""
APACHE_EMBEDDED = """
WSGIPythonPath {kit}
WSGIApplicationGroup %{{GLOBAL}}
"""

NGINX = """
daemon off;
pid {place}/nginx.pid;
error_log {place}/log;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    uwsgi_temp_path {place}/uwsgi;
    fastcgi_temp_path {place}/fastcgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ {passed} }}
    }}
}}
"""
UWSGI_PARAMS = (
    "QUERY_STRING $query_string; REQUEST_METHOD $request_method; CONTENT_TYPE $content_type; "
    "CONTENT_LENGTH $content_length; REQUEST_URI $request_uri; PATH_INFO $document_uri; "
    "SERVER_PROTOCOL $server_protocol; SERVER_NAME $server_name; SERVER_PORT $server_port"
)


def python(*arguments):
    return [sys.executable, *map(str, arguments)]


def served(name):
    return lambda port, place, kit: python(HERE / "stream_runner.py", name, port)


def gunicorn(*options):
    """Return gunicorn's command line, with a short graceful timeout so that a
    test can see its end."""
    return lambda port, place, kit: python(
        "-m",
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--graceful-timeout=1",
        *options,
        "stream_app:application",
    )


def waitress(*options):
    return lambda port, place, kit: python(
        "-m",
        "waitress",
        f"--listen=127.0.0.1:{port}",
        *options,
        "stream_app:application",
    )


def uwsgi(*options, **kinds):
    def command(port, place, kit):
        return [
            executable("uwsgi", "uwsgi_python3"),
            "--plugin=python3",
            "--master",
            "--die-on-term",
            "--need-app",
            f"--pythonpath={kit}",
            "--wsgi=stream_app:application",
            "--{}=127.0.0.1:{}".format(kinds.get("socket", "http-socket"), port),
            *options,
        ]

    return command


def apache(how):
    def command(port, place, kit):
        import grp
        import pwd

        # uWSGI and Apache do not serve as root
        user = pwd.getpwnam("www-data") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        names = {
            "place": place,
            "port": port,
            "kit": kit,
            "modules": APACHE_MODULES,
            "user": user.pw_name,
            "group": grp.getgrgid(user.pw_gid).gr_name,
        }
        (place / "apache.conf").write_text((APACHE + how).format(**names))
        (place / "application.wsgi").write_text("from stream_app import application\n")
        return [executable("apache2"), "-DFOREGROUND", "-f", str(place / "apache.conf")]

    return command


def nginx(passed):
    def command(port, place, behind):
        text = NGINX.format(port=port, place=place, passed=passed.format(port=behind))
        (place / "nginx.conf").write_text(text)
        return [executable("nginx"), "-c", str(place / "nginx.conf"), "-e", str(place / "log")]

    return command


PROXY_PASS = nginx("proxy_pass http://127.0.0.1:{port};")
UWSGI_PASS = nginx(
    "uwsgi_pass 127.0.0.1:{{port}}; {};".format(
        "; ".join("uwsgi_param " + param for param in UWSGI_PARAMS.split("; "))
    )
)


class Row:
    """A server, and how it is run.

    :ivar command: given a port, a directory and where Debian's interpreter
        finds the application, gives a command line
    :ivar proxy: the same for what is before it, given the port of the server
        behind it
    :ivar stop: the signal that shuts it down
    :ivar workers: whether a process that is killed is replaced
    """

    def __init__(self, name, command, proxy=None, stop=signal.SIGTERM, workers=False):
        self.name = name
        self.command = command
        self.proxy = proxy
        self.stop = stop
        self.workers = workers


GTHREAD = gunicorn("-k", "gthread", "--threads=4")

ROWS = [
    Row("wsgiref", served("wsgiref")),
    Row("werkzeug", served("werkzeug")),
    Row("gunicorn sync", gunicorn(), workers=True),
    Row("gunicorn gthread", GTHREAD, workers=True),
    Row("gunicorn gevent", gunicorn("-k", "gevent"), workers=True),
    Row("gevent.pywsgi", served("gevent")),
    Row("waitress", waitress()),
    Row("waitress, channel_request_lookahead=1", waitress("--channel-request-lookahead=1")),
    Row("cheroot", served("cheroot"), stop=signal.SIGINT),
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
    Row("eventlet.wsgi", served("eventlet")),
]


def executable(*names):
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        if found:
            return found
    raise AssertionError(
        f"{names[0]} is not here. On Debian: apt-get install uwsgi-core uwsgi-plugin-python3 "
        "apache2-bin libapache2-mod-wsgi-py3 nginx"
    )


class Server:
    """A server of the table, started when it is needed."""

    def __init__(self, row, kit):
        self.row = row
        self.kit = kit
        self._stack = contextlib.ExitStack()
        self._children = []

    def start(self):
        """Start the server without waiting until it listens."""
        if self._children:
            return
        self._warm = False
        # pytest's directories are readable by one user only
        self.place = pathlib.Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.place.chmod(0o777)
        self.port = behind = free_port()
        self._run(self.row.command(behind, self.place, self.kit))
        self._ports = [behind]
        if self.row.proxy is not None:
            self.port = free_port()
            self._run(self.row.proxy(self.port, self.place, behind))
            self._ports.append(self.port)

    def _run(self, command):
        env = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
        env.update(
            INNGEST_SIGNING_KEY=KEY,
            PYTHONPATH=str(HERE),
            STREAMED_LOG=str(self.place / "streamed.log"),
        )
        with open(str(self.place / "log"), "ab") as log:
            child = subprocess.Popen(
                command,
                cwd=str(self.place),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        self._stack.callback(end, child)

    def running(self):
        """Return the server once it listens; restart it if it has ended."""
        if any(child.poll() is not None for child in self._children):
            self.stop()
        self.start()
        until = time.monotonic() + 60
        while not all(map(listens, self._ports)):
            alive = all(child.poll() is None for child in self._children)
            assert alive and time.monotonic() < until, self.log()
            time.sleep(0.02)
        if not self._warm:
            # some servers import the application at the first request
            url = f"http://127.0.0.1:{self.port}/"
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert answer.read() == b"a page"
            self._warm = True
        return self

    def log(self):
        return (self.place / "log").read_text(errors="replace")

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

    def shut_down(self):
        """Ask the server to end; the proxy in front of it continues to run."""
        self._children[0].send_signal(self.row.stop)

    def wait(self):
        """Wait until the server has shut down."""
        self._children[0].wait(60)

    def kill(self, pid):
        """Kill a worker, or the only process."""
        os.kill(pid, signal.SIGKILL)
        if not self.row.workers:
            self.wait()

    def stop(self):
        self._stack.close()
        self._children = []


def end(child):
    """End a process and all others of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def free_port():
    """Return a free port below the range from which the system assigns ports."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def kit():
    """Yield a directory, readable by every user, with the application and the
    packages it imports."""
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
        yield place
