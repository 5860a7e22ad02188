"""An endpoint in cloud mode for servers in processes of their own, and a page
beside it that shows that the server can answer."""

from apps import KEY
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

import inngest_wsgi as inngest

client = inngest.Inngest(app_id="held", is_production=True, request_timeout=1000)


@client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="held/f"))
def function(ctx):
    return "done"


endpoint = inngest.serve(
    client, [function], signing_key=KEY, max_body_bytes=1000000, sync_timeout=1500
)
application = DispatcherMiddleware(Response("a page"), {"/api/inngest": endpoint})
