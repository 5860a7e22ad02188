"""A PostgreSQL server for tests, in a temporary folder and on a socket there."""

import contextlib
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time


def unprivileged():
    """Return a user who is not root, a new folder of this user, and options of a
    process that is this user's."""
    folder = tempfile.mkdtemp(prefix="inngest_wsgi_pg")
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()), folder, {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)

    def become():
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return user, folder, {"preexec_fn": become}


@contextlib.contextmanager
def bouncer(url):
    """Run a pgbouncer in transaction mode, with one connection to the database; yields
    the URL by which to reach it."""
    user, folder, options = unprivileged()
    place = url.partition("?host=")[2]
    config = os.path.join(folder, "config")
    lines = [
        "[databases]",
        f"* = host={place} user={user.pw_name}",
        "[pgbouncer]",
        "listen_addr =",
        "listen_port = 6432",
        f"unix_socket_dir = {folder}",
        "auth_type = any",
        "pool_mode = transaction",
        "default_pool_size = 1",
    ]
    with open(config, "w") as file:
        file.write("\n".join(lines))
    command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", config]
    log = open(os.path.join(folder, "log"), "wb")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
    log.close()
    try:
        until = time.monotonic() + 60
        while not os.path.exists(os.path.join(folder, ".s.PGSQL.6432")):
            assert child.poll() is None and time.monotonic() < until, "pgbouncer does not run"
            time.sleep(0.01)
        yield url.replace(place, f"{folder}&port=6432")
    finally:
        child.terminate()
        child.wait(60)
        shutil.rmtree(folder)


@contextlib.contextmanager
def cluster():
    """Run a server; yields a function that makes a database and returns its URL.

    initdb refuses to run as root: then the programs run as another user.
    """
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise AssertionError("PostgreSQL not found; on Debian: apt-get install postgresql")
    user, folder, options = unprivileged()

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
