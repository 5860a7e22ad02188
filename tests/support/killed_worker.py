"""An application that kills its own process at the points that a file lists,
each once. What its steps did is in another file."""

import json
import os
import pathlib
import signal
import sys

import urllib3
from werkzeug.serving import make_server

import inngest_wsgi as inngest

folder = pathlib.Path(sys.argv[1])
origin, port, buffered = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def point(name):
    """Come to a point, and die there if the file lists it."""
    deaths = folder / "deaths"
    listed = deaths.read_text().splitlines()
    if name in listed:
        listed.remove(name)
        deaths.write_text("\n".join(listed))
        os.kill(os.getpid(), signal.SIGKILL)


class Pool:
    def __init__(self):
        self.pool = urllib3.PoolManager()

    def request(self, method, url, body=b"", **options):
        last = json.loads(body)["steps"][-1]["displayName"] if "/checkpoint/" in url else ""
        point("unsent " + last)
        response = self.pool.request(method, url, body=body, **options)
        point("stored " + last)
        return response


def work(name):
    point("before " + name)
    with (folder / "effects").open("a") as effects:
        effects.write(name + "\n")
    point("after " + name)
    return name


client = inngest.Inngest(
    app_id="shop", is_production=False, api_base_url=origin, event_api_base_url=origin
)


@client.create_function(
    fn_id="f",
    trigger=inngest.TriggerEvent(event="test/event"),
    retries=20,
    checkpointing=inngest.Checkpointing(buffered_steps=buffered),
)
def function(ctx):
    return "".join(ctx.step.run(name, work, name) for name in "abcdef")


server = make_server(
    "127.0.0.1", port, inngest.serve(client, [function], http=Pool()), threaded=True
)
print("listening", flush=True)
server.serve_forever()
