"""The threads in which the functions of streamed calls run.

To start a thread takes longer than a short call. So a thread whose call is
over waits some seconds for the next one. Only idle threads are kept: a
function that never ends keeps its own thread from nobody.
"""

from __future__ import annotations

import _thread
import os
import threading
import types
import typing as t
import weakref

#: Carries out a call, and returns what hands over its answer. Neither raises,
#: and the latter does not wait.
Job = t.Callable[[], t.Callable[[], None]]

#: The most threads of one endpoint that wait for a call.
MAX_IDLE = 16
#: A thread ends after it has waited so many seconds.
IDLE_S = 5.0
#: How long a thread waits for a call that was about to be given to it, in
#: seconds. An exception in the other thread may have prevented that.
_LATE_S = 60.0

_IDLE_NAME = "inngest_wsgi idle"


class Threads:
    """Runs each job in a thread that runs nothing else meanwhile.

    A thread is started if none is idle. All are daemons: no process waits for
    them. After a fork the child has none of them, and starts its own.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._idle = _Idle()

    def run(self, job: Job, name: str) -> threading.Thread:
        """Run a job, and return its thread.

        :param name: the thread's name while the job runs
        :raises RuntimeError: the system has no more threads
        """
        if self._pid != os.getpid():
            self._renew()
        try:
            # the one that has waited least, so that those not needed end
            worker = self._idle.workers.pop()
        except IndexError:
            worker = _Worker(self._idle, job, name)
            worker.thread.start()
        else:
            worker.give(job, name)
        return worker.thread

    def _renew(self) -> None:
        self._idle, self._pid = _Idle(), os.getpid()
        # at the end of the process too, so that threads do not wait while the
        # interpreter is taken down
        weakref.finalize(self, self._idle.end)


class _Idle:
    """The threads of one process that wait for a call.

    :ivar workers: changed by single calls of its methods only, which no other
        thread interrupts
    :ivar limit: how many may wait
    """

    def __init__(self) -> None:
        self.workers: t.List[_Worker] = []
        self.pid = os.getpid()
        # gevent and eventlet replace this. Their greenlets are soon made, and a
        # timeout that a call has left behind would end another call
        is_native = isinstance(_thread.start_new_thread, types.BuiltinFunctionType)
        self.limit = MAX_IDLE if is_native else 0

    def end(self) -> None:
        """End the threads that wait, and let no other one wait."""
        self.limit = 0
        while self.workers:
            self.workers.pop().give(None, _IDLE_NAME)


class _Worker:
    """A thread that runs one job after another.

    :ivar thread: not yet started
    """

    def __init__(self, idle: _Idle, job: Job, name: str) -> None:
        self._idle = idle
        self._job: t.Optional[Job] = job
        self._is_given = threading.Lock()
        self._is_given.acquire()
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)

    def give(self, job: t.Optional[Job], name: str) -> None:
        """Give a job to the thread, which is not among the idle ones any more.

        :param job: None to end the thread
        """
        self._job = job
        self.thread.name = name
        self._is_given.release()

    def _work(self) -> None:
        while True:
            job, self._job = self._job, None
            if job is None:
                return
            hand_over = job()
            may_wait = self._offer()
            # only now: who has the answer may make the next call at once
            hand_over()
            # no object of the call is to be kept until the next one
            del job, hand_over
            if not (may_wait and self._wait()):
                return

    def _offer(self) -> bool:
        """Put the thread among the idle ones; return False if it is to end."""
        self.thread.name = _IDLE_NAME
        idle = self._idle
        # the function may have forked, and this be the child
        if not idle.limit or idle.pid != os.getpid():
            return False
        idle.workers.append(self)
        return len(idle.workers) <= idle.limit or not self._withdraw()

    def _withdraw(self) -> bool:
        """Take the thread out of the idle ones; return False if it is about to
        be given a job."""
        try:
            self._idle.workers.remove(self)
        except ValueError:
            return False
        return True

    def _wait(self) -> bool:
        """Wait for a job; return False if none came."""
        if self._is_given.acquire(True, IDLE_S):
            return True
        return not self._withdraw() and self._is_given.acquire(True, _LATE_S)
