"""Compare the time of a streamed call with that of a call in one piece, without
a WSGI server. Calls in one piece should take the same time with each setting of
``streaming``. Prints the best of seven rounds, in which the settings take turns.

    python benchmarks/streaming.py

Quote the ratios, not a single time.
"""

import time

import call

import inngest_wsgi as inngest

CALLS = 1000

#: What is measured: the setting, and the name of the server.
WAYS = {
    "streaming=False": (False, "gunicorn/23.0.0"),
    "streaming='allow', a server that cannot": ("allow", "unknown"),
    "streaming='allow', a server that can": ("allow", "gunicorn/23.0.0"),
}


def application(streaming):
    client = inngest.Inngest(app_id="bench", signing_key=call.SECRET, is_production=True)
    trigger = inngest.TriggerEvent(event="bench/call")
    function = client.create_function(fn_id="call", trigger=trigger)(call.handler)
    return inngest.serve(client, [function], streaming=streaming)


def measure(served, environ, software):
    started = time.perf_counter()
    for _ in range(CALLS):
        chunks = served(dict(environ(), SERVER_SOFTWARE=software), lambda status, headers: None)
        for _ in chunks:
            pass
    return (time.perf_counter() - started) / CALLS


def main():
    environ = call.make_environ()
    served = {name: application(streaming) for name, (streaming, _) in WAYS.items()}
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(7):
        for name, (_, software) in WAYS.items():
            best[name] = min(best[name], measure(served[name], environ, software))
    base = best["streaming=False"]
    for name, seconds in best.items():
        print(f"{name:42} {seconds * 1e6:5.0f} us a call, {seconds / base:.2f}")


if __name__ == "__main__":
    main()
