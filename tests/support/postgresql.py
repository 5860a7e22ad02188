"""A PostgreSQL server for tests, in a temporary folder and on a socket there."""

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile


@contextlib.contextmanager
def cluster():
    """Run a server; yields a function that makes a database and returns its URL.

    initdb refuses to run as root: then the programs run as another user.
    """
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise AssertionError("PostgreSQL not found; on Debian: apt-get install postgresql")
    folder = tempfile.mkdtemp(prefix="inngest_wsgi_pg")
    user = pwd.getpwuid(os.geteuid())
    options = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        options = {
            "preexec_fn": lambda: (
                os.setgroups([]),
                os.setgid(user.pw_gid),
                os.setuid(user.pw_uid),
            )
        }

    def run(program, *arguments):
        command = [os.path.join(found[-1], program), *arguments]
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        assert done.returncode == 0, done.stdout.decode()

    data = os.path.join(folder, "data")
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    number = 0

    def make_database():
        nonlocal number
        number += 1
        name = f"test{number}"
        run("createdb", "-h", folder, name)
        return f"postgresql+psycopg2://{user.pw_name}@/{name}?host={folder}"

    try:
        run("initdb", "-D", data, "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        log = os.path.join(folder, "log")
        run("pg_ctl", "-D", data, "-l", log, "-w", "-t", "60", "-o", settings, "start")
        try:
            yield make_database
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
