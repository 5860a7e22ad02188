"""Run one endpoint in a process of its own, and do what the parent asks for.

The parent writes one JSON list on each line, a command and its arguments, and
reads one line of JSON for each.
"""

import json
import os
import subprocess
import sys

import contestants

HERE = os.path.dirname(os.path.abspath(__file__))


class Child:
    """A process with one endpoint, seen from the parent. Ends with its ``with`` block.

    Several of them take turns, so that a busy machine is busy for all.
    """

    def __init__(self, contestant):
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "child.py"), contestant.kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ_for(contestant.environ),
            universal_newlines=True,
            bufsize=1,
        )
        self._name = contestant.name

    def ask(self, command, *arguments):
        """Let it do something, and return the result.

        :raises RuntimeError: the process has ended; its traceback is on stderr
        """
        try:
            self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the process of {self._name!r} has ended at {command!r}")
        return json.loads(answer)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


def environ_for(additional):
    """Return the environment of a process that is measured: no settings of Inngest."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST_")}
    environ.update(additional)
    return environ


class Work:
    """The commands of a child."""

    def __init__(self, kind):
        self._kind = kind

    def prepare(self, count, size):
        """Make the endpoint, and check that it does what it is measured for.

        :param count: memos of each call
        :param size: additional bytes of the event; the body has it twice
        """
        import in_process

        self._application = contestants.make(self._kind, count)
        self._floor = contestants.make(contestants.FLOOR.kind, count)
        self._body = in_process.call(count, size)
        in_process.check(self._application, self._body)
        return len(self._body)

    def time(self, times):
        """Make so many calls of the floor and of the endpoint; return the seconds of one of each.

        Both in this process: what a process finds in the caches of a CPU when its turn comes
        is another's, and to warm them takes longer than a call.
        """
        import in_process

        both = (self._floor, self._application)
        for application in both:
            in_process.make_round(application, self._body, max(1, times // 3))
        return [in_process.make_round(application, self._body, times) for application in both]

    def memory(self):
        """Return the resident bytes of this process; None where that is not known."""
        return resident()


def resident(field="VmRSS"):
    """Return the resident bytes of this process as Linux counts them; None elsewhere.

    :param field: ``VmHWM`` for the most that there was
    """
    try:
        with open("/proc/self/status") as status:
            found = [line.split()[1] for line in status if line.startswith(field + ":")]
    except OSError:
        return None
    return int(found[0]) * 1024


def main():
    contestants.prepare()
    work = Work(sys.argv[1])
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print(json.dumps(getattr(work, command)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
