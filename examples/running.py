"""Code that the demos share: start servers that end with the demo, and print a run
as it happens."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import types
import typing
from typing import Any, Callable, Generator, List, Optional, Type

if typing.TYPE_CHECKING:
    from inngest_wsgi.testing import HistoryEntry, LocalServer, Run

#: The folder of the examples.
HERE = pathlib.Path(__file__).resolve().parent
#: How long anything may take before a demo gives up, in seconds.
PATIENCE_S = 60
#: What ends a demo early: Ctrl-C, a kill, a terminal that is closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class DemoError(Exception):
    """The demo failed; the message says why."""


def demonstrate(run: Callable[[pathlib.Path], None], farewell: str) -> int:
    """Run a demo in a temporary folder of its own.

    :param run: called with the folder
    :param farewell: printed if all went well
    :returns: the exit status
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="inngest-wsgi-demo-") as folder:
            run(pathlib.Path(folder))
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 130
    except DemoError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr, flush=True)
        return 1
    print("\n" + farewell, flush=True)
    return 0


def _interrupt(*_: Any) -> None:
    # an impatient second Ctrl-C must not leave anything running
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def signals_held() -> Generator[None, None, None]:
    """Delay a Ctrl-C: during the start or the end of a process it would leave
    the process behind."""
    came: List[int] = []

    def note(number: int, frame: Any) -> None:
        came.append(number)

    before = [signal.signal(number, note) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before):
            signal.signal(number, handler)
    if came:
        _interrupt()


Self = typing.TypeVar("Self", bound="Process")


class Process:
    """A server in a separate process.

    :param name: what to call it
    :param command: starts it, in the foreground
    :param folder: its home
    :param listening: a pattern of the log line that says that it listens
    :param environ: additions to our environment, of which it does not get
        Inngest's settings
    """

    def __init__(
        self,
        name: str,
        command: List[str],
        folder: pathlib.Path,
        listening: str,
        **environ: str,
    ) -> None:
        self._name = name
        self._command = command
        self._pattern = re.compile(listening)
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
        # gunicorn keeps a folder in HOME, which should be removed with the demo's
        self._environ.update(environ, HOME=str(folder))
        self._log: List[str] = []
        self._found: Any = None
        self._listening = threading.Event()
        self._process: Any = None
        self._reader = threading.Thread(target=self._read)

    def __enter__(self: Self) -> Self:
        try:
            with signals_held():
                # a session of its own: Ctrl-C reaches us alone and we end it
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environ,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    universal_newlines=True,
                    start_new_session=True,
                )
                self._reader.start()
            self._listening.wait(PATIENCE_S)
            if self._found is None:
                raise DemoError("{} did not start:\n{}".format(self._name, "".join(self._log)))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[types.TracebackType],
    ) -> None:
        self._end()
        if isinstance(error, DemoError):
            print("\nThe log of {}:\n{}".format(self._name, "".join(self._log)), file=sys.stderr)

    def _read(self) -> None:
        for line in self._process.stdout:
            self._log.append(line)
            self._found = self._found or self._pattern.search(line)
            if self._found:
                self._listening.set()
        self._listening.set()

    def _end(self) -> None:
        if self._process is None:
            return
        with signals_held():
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            try:
                # also the workers of a server that was stopped during its start
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()


class Gunicorn(Process):
    """An example, served by gunicorn on a free loopback port.

    :param app: the example's folder
    :param options: gunicorn's
    """

    def __init__(
        self, name: str, app: str, folder: pathlib.Path, *options: str, **environ: str
    ) -> None:
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            f"--chdir={HERE / app}",
            f"--pythonpath={HERE}",
            "--bind=127.0.0.1:0",
        ]
        command += [*options, "app:application"]
        super().__init__(name, command, folder, r"Listening at: (http://\S+)", **environ)

    @property
    def origin(self) -> str:
        found: str = self._found.group(1)
        return found


def sync(server: LocalServer, origin: str) -> None:
    """Make the app register."""
    from inngest_wsgi.testing import SyncError

    try:
        synced = server.sync(origin + "/api/inngest")
    except SyncError as error:
        raise DemoError(f"the app did not register: {error}") from error
    say("sync", f"HTTP {synced.status}: {synced.body}")


def follow(
    server: LocalServer,
    run_id: str,
    happened: Callable[[HistoryEntry], None] = lambda entry: None,
) -> Run:
    """Print a run as it happens.

    :param happened: called with each entry of the run's history
    :returns: the run, when it has ended
    """
    print(f"\nrun {run_id} of {run_of(server, run_id).function_id}\n", flush=True)
    print("{:>8}  {:<21} {:<17} {}".format("time", "step", "what", ""), flush=True)
    try:
        for entry in server.follow(run_id, timeout=PATIENCE_S):
            row(entry.at / 1000, entry.step, entry.kind, notes(entry))
            happened(entry)
    except TimeoutError as error:
        raise DemoError(f"the run does not end: {error}") from error
    return run_of(server, run_id)


def run_of(server: LocalServer, run_id: str) -> Run:
    (run,) = [run for run in server.runs() if run.run_id == run_id]
    return run


def notes(entry: HistoryEntry) -> str:
    found: List[str] = []
    if entry.attempt is not None:
        found.append(f"attempt {entry.attempt}")
    if entry.retry_in is not None:
        found.append(f"in {entry.retry_in:.1f} s")
    if entry.detail:
        found.append(entry.detail.splitlines()[0])
    return ", ".join(found)


def row(at_s: float, step: Optional[str], what: str, text: str) -> None:
    print("{:>6.2f} s  {:<21} {:<17} {}".format(at_s, step or "", what, text), flush=True)


def say(what: str, text: str) -> None:
    print(f"{what:<24} {text}", flush=True)
