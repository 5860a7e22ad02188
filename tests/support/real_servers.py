"""Real WSGI servers, and how to run each with an application of the tests."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")

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
WSGIDaemonProcess served processes=1 threads=8 python-path={path}
WSGIProcessGroup served
WSGIApplicationGroup %{{GLOBAL}}
"""
APACHE_EMBEDDED = """
WSGIPythonPath {path}
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


class Application:
    """A WSGI application, and where servers find it.

    :ivar module: whose name ``application`` it is
    :ivar path: the folders from which this interpreter imports it
    :ivar embedded: those from which Debian's interpreter does, in uWSGI and
        Apache; every user can read them
    :ivar page: the path of a page, and a text in it
    """

    def __init__(self, module, path, embedded, page=("/", "a page"), **environ):
        self.module = module
        self.path = path
        self.embedded = embedded
        self.page = page
        self.environ = environ

    @property
    def name(self):
        return f"{self.module}:application"


def runner(name):
    return lambda port, place, application: python(
        HERE / "server_runner.py", name, port, application.module
    )


def gunicorn(*options):
    """Return gunicorn's command line, with a short graceful timeout so that a
    test can see its end."""
    return lambda port, place, application: python(
        "-m",
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--graceful-timeout=1",
        *options,
        application.name,
    )


def waitress(*options):
    return lambda port, place, application: python(
        "-m",
        "waitress",
        f"--listen=127.0.0.1:{port}",
        *options,
        application.name,
    )


def uwsgi(*options, **kinds):
    def command(port, place, application):
        return [
            executable("uwsgi", "uwsgi_python3"),
            "--plugin=python3",
            "--master",
            "--die-on-term",
            "--need-app",
            *(f"--pythonpath={folder}" for folder in application.embedded),
            f"--wsgi={application.name}",
            "--{}=127.0.0.1:{}".format(kinds.get("socket", "http-socket"), port),
            *options,
        ]

    return command


def apache(how):
    def command(port, place, application):
        import grp
        import pwd

        # uWSGI and Apache do not serve as root
        user = pwd.getpwnam("www-data") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        names = {
            "place": place,
            "port": port,
            "path": ":".join(map(str, application.embedded)),
            "modules": APACHE_MODULES,
            "user": user.pw_name,
            "group": grp.getgrgid(user.pw_gid).gr_name,
        }
        (place / "apache.conf").write_text((APACHE + how).format(**names))
        script = f"from {application.module} import application\n"
        (place / "application.wsgi").write_text(script)
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

    :ivar command: given a port, a directory and an application, gives a
        command line
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
    """A server with an application, started when it is needed."""

    def __init__(self, row, application):
        self.row = row
        self.application = application
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
        self.port = behind = self._claim()
        self._run(self.row.command(behind, self.place, self.application))
        self._ports = [behind]
        if self.row.proxy is not None:
            self.port = self._claim()
            self._run(self.row.proxy(self.port, self.place, behind))
            self._ports.append(self.port)

    def _claim(self):
        """Return a free port that no other test of this machine takes meanwhile."""
        while True:
            port = free_port()
            # Linux forgets a name of this kind when its socket is closed
            claim = self._stack.enter_context(socket.socket(socket.AF_UNIX))
            with contextlib.suppress(OSError):
                claim.bind(f"\0port of a test {port}")
                return port

    def _run(self, command):
        env = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
        env.update(self.application.environ, PYTHONPATH=os.pathsep.join(self.application.path))
        env["PLACE"] = str(self.place)
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
            path, text = self.application.page
            url = f"http://127.0.0.1:{self.port}{path}"
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    assert text in answer.read().decode()
            except OSError as error:
                raise AssertionError(f"{url}: {error}\n{self.log()}") from error
            self._warm = True
        return self

    def log(self):
        return (self.place / "log").read_text(errors="replace")

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
