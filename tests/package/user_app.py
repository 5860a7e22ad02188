"""An application as a user has it who installed the package and nothing else: it is served over
HTTP, synced with a local server, and its function runs; and its page is read."""

import sys
import threading
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import inngest_wsgi as inngest
from inngest_wsgi.testing import LocalServer, VirtualClock


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def application(server_url, failed):
    client = inngest.Inngest(app_id="shop", is_production=False, api_base_url=server_url)

    def charge(number):
        if not failed:
            failed.append(number)
            raise OSError("the bank does not answer")
        return number * 100

    @client.create_function(fn_id="order", trigger=inngest.TriggerEvent(event="shop/ordered"))
    def order(ctx):
        amount = ctx.step.run("charge", charge, ctx.event.data["id"])
        ctx.step.sleep("a-day", "1d")
        both = ctx.group.parallel((lambda: ctx.step.run("a", int), lambda: ctx.step.run("b", int)))
        return [amount, *both]

    return inngest.serve(client, [order])


def main():
    with LocalServer(clock=VirtualClock()) as server:
        app = application(server.url, failed=[])
        http = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{http.server_port}/api/inngest"
            server.sync(url)
            (event,) = server.send({"name": "shop/ordered", "data": {"id": 7}})
            run = server.wait_for_run(event, timeout=60)
            asked = urllib.request.Request(url, headers={"Accept": "text/html"})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                page = answer.read().decode("utf-8")
        finally:
            http.shutdown()
            thread.join()
            http.server_close()
    print(run.status, run.output, page.startswith("<!doctype html>"))


if __name__ == "__main__":
    sys.exit(main())
