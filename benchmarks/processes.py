"""Run WSGI servers in processes of their own."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time

import child

#: How long a server may take to listen, in seconds.
PATIENCE_S = 60


@contextlib.contextmanager
def gunicorn(application, threads, **environ):
    """Run gunicorn with one gthread worker; yields its address, ``127.0.0.1:<port>``.

    :param application: ``module:name``, in the folder of this file
    :param environ: additional environment variables
    """
    command = [sys.executable, "-m", "gunicorn", application]
    command += ["--bind", "127.0.0.1:0", "--chdir", child.HERE, "--worker-class", "gthread"]
    command += ["--workers", "1", "--threads", str(threads), "--timeout", "600"]
    # what is open at the end is not waited for
    command += ["--graceful-timeout", "1"]
    command += ["--worker-connections", str(threads + 100)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, env=child.environ_for(environ), stdout=log, stderr=log, cwd=child.HERE
        )
        try:
            yield _wait_for(process, log)
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(process, log):
    """Wait until the worker has loaded the application, and return the address."""
    until = time.monotonic() + PATIENCE_S
    text = ""
    while time.monotonic() < until and process.poll() is None:
        # the process writes at the offset that we share with it
        text = os.pread(log.fileno(), 100000, 0).decode()
        found = re.search(r"Listening at: http://(\S+)", text)
        if found and "Booting worker" in text:
            return found.group(1)
        time.sleep(0.01)
    raise RuntimeError(f"gunicorn does not listen:\n{text}")
