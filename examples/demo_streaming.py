"""Show what streaming is for: a slow step behind an impatient proxy.

Starts ``streaming/app.py``, whose one step takes eight seconds, under gunicorn,
behind an nginx that gives up on an app that sends nothing for two seconds
(``proxy_read_timeout 2s``, otherwise nginx's defaults). The local server that
comes with inngest_wsgi calls the app through nginx. All of them use free
loopback ports and a temporary folder. The function runs twice: in an app that
answers in one piece, and in one that streams.

    python examples/demo_streaming.py

The exit status is 0 only if the first run failed, although its step ran to
the end at each attempt, and the second one completed, with one attempt.
"""

from __future__ import annotations

import grp
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import time
import typing
from typing import List, Sequence

from running import PATIENCE_S, DemoError, Gunicorn, Process, demonstrate, follow, row, say, sync

if typing.TYPE_CHECKING:
    from inngest_wsgi.testing import LocalServer, Run

#: Where else to look for nginx: the PATH of an ordinary user has no sbin.
SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")

NGINX_CONF = """\
daemon off;
pid "{folder}/nginx.pid";
error_log stderr notice;
{user}
events {{}}
http {{
    log_format short '$request_method $status $request_time';
    access_log "{folder}/access.log" short;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_read_timeout 2s;
        }}
    }}
}}
"""


def main() -> int:
    return demonstrate(run, "How to go on: examples/streaming/README.md, and the README.")


def run(folder: pathlib.Path) -> None:
    # imported here, so that a Ctrl-C during the import is handled
    from inngest_wsgi.testing import LocalServer

    nginx = find_nginx()
    with LocalServer(retry_interval=1.0) as server:
        say("local server", server.url)
        lost = run_once("1. In one piece", server, nginx, folder / "1", "false")
        lost.check("Failed", reports=2, answers=["504", "504"])
        say("the server got", " ".join(lost.run.output["stack"].split()))
        kept = run_once("2. Streamed", server, nginx, folder / "2", "allow")
        # one call: the step's result was sent to the server before its answer
        kept.check("Completed", reports=1, answers=["201"])
        say("output", json.dumps(kept.run.output))
    print(
        f"\nThe same step behind the same proxy. In one piece: the run is {lost.run.status}, "
        f"although the step ran\nto its end {len(lost.reports)} times. Streamed: the run is "
        f"{kept.run.status}, and the step ran once."
    )


def find_nginx() -> str:
    """Return the path of nginx."""
    found = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""),) + SBIN))
    if found is None:
        raise DemoError("there is no nginx; on Debian: apt-get install nginx")
    return found


def run_once(
    title: str, server: LocalServer, nginx: str, folder: pathlib.Path, streaming: str
) -> Result:
    """Start the app and nginx, and run the function.

    :param streaming: the app's ``INNGEST_STREAMING``
    """
    print(f"\n{title} (INNGEST_STREAMING={streaming})\n", flush=True)
    folder.mkdir()
    reports = folder / "reports.txt"
    reports.touch()
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    app = Gunicorn(
        "the app",
        "streaming",
        folder,
        "--worker-class=gthread",
        "--threads=4",
        # a Ctrl-C in the middle of the step does not wait for its end
        "--graceful-timeout=1",
        INNGEST_DEV=server.url,
        INNGEST_STREAMING=streaming,
        # nginx passes on the app's own address as Host, not the client's
        INNGEST_SERVE_ORIGIN=origin,
        REPORTS=str(reports),
    )
    with app:
        say("app (gunicorn, gthread)", app.origin)
        with Nginx(nginx, folder, port, app.origin) as proxy:
            say("nginx in front of it", origin)
            sync(server, origin)
            began = time.monotonic()
            (event_id,) = server.send({"name": "office/report.wanted", "data": {}})
            (started,) = server.runs(event_id)
            ended = follow(server, started.run_id)
            follow_reports(reports, ended, began)
    result = Result(ended, lines(reports), proxy.answers())
    print()
    say("nginx answered", ", ".join("{} after {} s".format(*answer) for answer in result.answers))
    say("reports", ", ".join(result.reports))
    return result


def follow_reports(path: pathlib.Path, ended: Run, began: float) -> None:
    """Print the reports of attempts whose result the server did not get."""
    attempts = sum(entry.kind == "function error" for entry in ended.history)
    seen = 0
    while seen < attempts:
        for text in lines(path)[seen:]:
            seen += 1
            row(time.monotonic() - began, "write-report", "ran all the same", text)
        if time.monotonic() - began > PATIENCE_S:
            raise DemoError(f"{attempts} attempts, but {seen} reports")
        time.sleep(0.05)


def lines(path: pathlib.Path) -> List[str]:
    return path.read_text().splitlines()


class Result(typing.NamedTuple):
    """What came of one run."""

    run: Run
    #: Lines of the file that the step writes.
    reports: List[str]
    #: Status and seconds of each answer that went through nginx to a call.
    answers: List[Sequence[str]]

    def check(self, status: str, reports: int, answers: List[str]) -> None:
        """Check that the result is the expected one.

        :raises DemoError: it is not
        """
        if self.run.status != status:
            raise DemoError(f"the run is {self.run.status}: {self.run.output}")
        if [answer[0] for answer in self.answers] != answers:
            raise DemoError(f"nginx did not answer {answers}")
        if len(self.reports) != reports:
            raise DemoError(f"{reports} reports were expected: {self.reports}")


class Nginx(Process):
    """nginx in front of an app, with all its files in a folder.

    :param path: of nginx
    :param port: to listen on
    :param upstream: origin of the app
    """

    def __init__(self, path: str, folder: pathlib.Path, port: int, upstream: str) -> None:
        conf = folder / "nginx.conf"
        conf.write_text(
            NGINX_CONF.format(
                folder=folder,
                user=worker_user(),
                temporary=temporary_paths(path, folder),
                port=port,
                upstream=upstream,
            )
        )
        command = [path, "-p", str(folder), "-c", str(conf)]
        super().__init__("nginx", command, folder, r"start worker process \d")
        self._access_log = folder / "access.log"

    def answers(self) -> List[Sequence[str]]:
        """Return the status and the seconds of each answer to a POST. The list is
        complete only when nginx has ended."""
        found = [line.split() for line in lines(self._access_log)]
        return [rest for method, *rest in found if method == "POST"]


def worker_user() -> str:
    """Return the setting for the user of nginx's worker: as root nginx would
    choose a user who may not enter the folder."""
    if os.geteuid() != 0:
        return ""
    names = pwd.getpwuid(0).pw_name, grp.getgrgid(os.getegid()).gr_name
    return "user {} {};".format(*names)


def temporary_paths(path: str, folder: pathlib.Path) -> str:
    """Return the settings for the folders that nginx makes when it starts, by
    default where only root may, for the modules that this nginx has."""
    built = subprocess.run([path, "-V"], stderr=subprocess.PIPE, check=True).stderr.decode()
    modules = ["proxy", "fastcgi", "uwsgi", "scgi"]
    names = ["client_body"] + [
        name for name in modules if f"--without-http_{name}_module" not in built
    ]
    return "\n    ".join(f'{name}_temp_path "{folder}/{name}";' for name in names)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
