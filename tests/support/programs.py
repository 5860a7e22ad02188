"""Make random programs of steps, and run them without a server or as a function.

A program is a nested tuple: (kind, ...). The ids of steps repeat within a
branch and differ between branches, as ids that are told apart by their order
must. Its effects are the steps that ran well, each with the number of its
repeat: ("1/a", 2) is the third step ``a`` of the second branch.
"""

import inngest_wsgi as inngest

#: How often a step is tried.
ATTEMPTS = 3

#: What a program consists of; leaves and groups are more frequent.
KINDS = ("leaf",) * 3 + ("parallel",) * 5 + ("seq", "loop", "try", "swallow", "forget", "finally")

VALUES = (None, 0, -7, "", "é\u2028", [], [True, None], {"data": 1}, {"error": {}}, 2**40)


class Maker:
    """Makes a program.

    :param choose: given n, gives one of the numbers below n; every choice is
        made by it.
    :param leaves: about how many steps it may have, loops counted once.
    """

    def __init__(self, choose, leaves=12):
        self.choose = choose
        self.left = leaves

    def one_of(self, options):
        return options[self.choose(len(options))]

    def program(self):
        """Make a program: one to four nodes in sequence."""
        return ("seq", self.bodies(1, 4))

    def node(self, depth):
        if depth >= 5 or self.left <= 1:
            return self.leaf(depth)
        return getattr(self, self.one_of(KINDS))(depth + 1)

    def leaf(self, depth):
        self.left -= 1
        if self.choose(5) == 4:
            return ("sleep", self.one_of("xy"))
        return self.step()

    def step(self):
        # failures before it succeeds; with ATTEMPTS of them it never does
        failures = self.one_of((0,) * 12 + (1,) * 4 + (2,) * 2 + (ATTEMPTS,) * 2)
        return ("step", self.one_of("abc"), failures, self.one_of(VALUES))

    def bodies(self, depth, most):
        return tuple(self.node(depth) for _ in range(1 + self.choose(most)))

    def seq(self, depth):
        return ("seq", self.bodies(depth, 4))

    def parallel(self, depth):
        return ("parallel", self.one_of(tuple(inngest.ParallelMode)), self.bodies(depth, 3))

    def loop(self, depth):
        return ("loop", 1 + self.choose(3), self.node(depth))

    def finally_(self, depth):
        return ("finally", self.node(depth), self.step())

    def try_(self, depth):
        return ("try", self.node(depth))

    def swallow(self, depth):
        return ("swallow", self.node(depth))

    def forget(self, depth):
        return ("forget", self.node(depth))


setattr(Maker, "try", Maker.try_)
setattr(Maker, "finally", Maker.finally_)


class Failure(Exception):
    """Raised by the reference interpreter for a step without attempts left."""


class Reference:
    """Run a program as if its steps were plain function calls."""

    def __init__(self):
        self.effects = []
        self.uses = {}

    def end(self, program):
        """Return the end of a run: ("ok", output) or ("failed", message)."""
        try:
            return "ok", self.run(program)
        except Failure as error:
            return "failed", str(error)

    def run(self, node, branch=""):
        return getattr(self, node[0])(branch, *node[1:])

    def use(self, step_id):
        number = self.uses[step_id] = self.uses.get(step_id, -1) + 1
        return step_id, number

    def step(self, branch, name, failures, value):
        step = self.use(branch + name)
        if failures >= ATTEMPTS:
            raise Failure(branch + name)
        self.effects.append(step)
        return value

    def sleep(self, branch, name):
        return None

    def seq(self, branch, body):
        return [self.run(node, branch) for node in body]

    def loop(self, branch, times, body):
        return [self.run(body, branch) for _ in range(times)]

    def try_(self, branch, body):
        try:
            return self.run(body, branch)
        except Failure as error:
            return "caught " + str(error)

    def swallow(self, branch, body):
        try:
            return self.run(body, branch)
        except Failure:
            return "swallowed"

    def forget(self, branch, body):
        try:
            self.run(body, branch)
        except Failure:
            pass
        return "forgotten"

    def finally_(self, branch, body, last):
        try:
            return self.run(body, branch)
        finally:
            self.run(last, branch)

    def parallel(self, branch, mode, branches):
        values, raised = [], []
        for n, body in enumerate(branches):
            try:
                values.append(self.run(body, f"{branch}{n}/"))
            except Failure as error:
                raised.append(error)
        if raised:
            raise raised[0]
        return values


setattr(Reference, "try", Reference.try_)
setattr(Reference, "finally", Reference.finally_)


class Interpreter(Reference):
    """Run a program with the steps of a context.

    :param ran: called from within a step, with the step and whether it went
        well.
    """

    def __init__(self, ctx, ran):
        super().__init__()
        self.ctx = ctx
        self.ran = ran

    def step(self, branch, name, failures, value):
        step = self.use(branch + name)

        def work():
            well = failures < ATTEMPTS and self.ctx.attempt >= failures
            self.ran(step, well)
            if not well:
                raise ValueError(step[0])
            return value

        return self.ctx.step.run(step[0], work)

    def sleep(self, branch, name):
        return self.ctx.step.sleep(branch + name, 1000)

    def try_(self, branch, body):
        try:
            return self.run(body, branch)
        except inngest.StepError as error:
            return "caught " + error.message

    def swallow(self, branch, body):
        try:
            return self.run(body, branch)
        except BaseException:
            return "swallowed"

    def forget(self, branch, body):
        try:
            self.run(body, branch)
        finally:
            return "forgotten"

    def parallel(self, branch, mode, branches):
        bodies = tuple(
            lambda n=n, body=body: self.run(body, f"{branch}{n}/")
            for n, body in enumerate(branches)
        )
        return list(self.ctx.group.parallel(bodies, mode))


setattr(Interpreter, "try", Interpreter.try_)
