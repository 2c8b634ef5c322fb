"""A server of TCP, or (with SERVER) its client: both send a megabyte, and check what they get."""

import os
import socket
import sys
import time

DATA = bytes(range(250)) * 4000
PORT = 4711


def receive(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def serve() -> None:
    listener = socket.create_server(("", PORT))
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            data = receive(connection)
            connection.sendall(data)


def ask(server: str) -> None:
    while True:
        try:
            connection = socket.create_connection((server, PORT), timeout=30)
            break
        except ConnectionError:
            time.sleep(0.05)
    with connection:
        connection.sendall(DATA)
        connection.shutdown(socket.SHUT_WR)
        data = receive(connection)
    print(f"{len(data)} bytes, {'checked' if data == DATA else 'wrong'}", flush=True)


if __name__ == "__main__":
    server = os.environ.get("SERVER")
    sys.exit(ask(server) if server else serve())
