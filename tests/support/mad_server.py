"""A server on a raw socket that answers each connection with bytes of the
test's choice, as slowly as it likes."""

import contextlib
import socket
import threading


@contextlib.contextmanager
def answering(send):
    """Yields the server's origin.

    :param send: given each connection, once the head of its request is read,
        and an event that is set at the end of the test
    """
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                got = connection.recv(65536)
                if not got:
                    return
                head += got
            send(connection, over)
            # with the rest of the request unread, closing would be a reset
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.05)
            while not over.is_set():
                with contextlib.suppress(socket.timeout):
                    if not connection.recv(65536):
                        return

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                thread.start()
                threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(60)
        for thread in threads:
            thread.join(60)


def dripping(begin, drop, pause_s=0.05):
    """Return a function that sends the beginning, and then a few bytes again
    and again."""

    def send(connection, over):
        connection.sendall(begin)
        while not over.wait(pause_s):
            connection.sendall(drop)

    return send


def sending(answer):
    """Return a function that sends an answer at once."""
    return lambda connection, over: connection.sendall(answer)


def head(*headers):
    lines = ["HTTP/1.1 200 OK", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")
