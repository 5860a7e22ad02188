"""A package index in a folder, which takes uploads of everybody; prints its address."""

import sys
from wsgiref.simple_server import make_server

import pypiserver


def main(folder):
    app = pypiserver.app(roots=[folder], password_file=".", authenticate=[], disable_fallback=True)
    with make_server("127.0.0.1", 0, app) as http:
        print(f"http://127.0.0.1:{http.server_port}/", flush=True)
        http.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
