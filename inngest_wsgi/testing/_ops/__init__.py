"""Act on the ops that an app reports: one handler an op.

A handler is given the answer and one of its ops. It
gives nothing back: it keeps a memo, queues what follows, or ends the run.
"""
