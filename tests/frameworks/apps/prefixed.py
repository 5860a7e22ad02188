"""The application that ``PREFIXED`` names, below /outer."""

import importlib
import os

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

inner = importlib.import_module(os.environ["PREFIXED"]).application
application = DispatcherMiddleware(Response("outside"), {"/outer": inner})
