"""The toolkit: test an app in the test's own thread, in virtual time, with stubs.

A test gives :class:`~.server.TestServer` its application, sends events, moves
time forward, and looks at the runs. Everything else in ``testing`` is the
server that carries them out.
"""
