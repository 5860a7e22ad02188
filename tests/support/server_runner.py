"""Run a server that has no command line, or whose command line takes no port.

server_runner.py <server> <port> <module>
"""

import importlib
import signal
import sys

# a shell lets what it starts in the background ignore this
signal.signal(signal.SIGINT, signal.default_int_handler)

name, port, module = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if name == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif name == "eventlet":
    import eventlet

    eventlet.monkey_patch()

application = importlib.import_module(module).application


def wsgiref():
    from wsgiref.simple_server import make_server

    make_server("127.0.0.1", port, application).serve_forever()


def werkzeug():
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, application, threaded=True)


def cheroot():
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", port), application)
    try:
        server.start()
    except KeyboardInterrupt:
        server.stop()


def gevent():
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", port), application).serve_forever()


def eventlet():  # type: ignore[no-redef]  # noqa: F811 (the module is not needed here)
    from eventlet import listen, wsgi

    wsgi.server(listen(("127.0.0.1", port)), application)


def cherrypy():  # type: ignore[no-redef]
    import cherrypy

    # what is mounted in cherrypy.tree, with CherryPy's own server
    cherrypy.config.update({"server.socket_host": "127.0.0.1", "server.socket_port": port})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()


def webpy():
    from web.httpserver import runsimple

    runsimple(application, ("127.0.0.1", port))


globals()[name]()
