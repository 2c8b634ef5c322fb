"""The cloud: subscribes to everything that the gateway's broker has, and says what comes.

    cloud.py BROKER

MQTT 3.1.1 as far as it takes: CONNECT, SUBSCRIBE, PUBLISH with QoS 0. Standard library only.
"""

import collections
import json
import socket
import sys
import threading

TOPICS = ("csi/#", "vitals/#")
EACH = 20
"""So many frames of a node make a line."""
AGAIN_S = 0.2


def text(value):
    return len(value).to_bytes(2, "big") + value.encode()


def packet(kind, body):
    return bytes([kind, len(body)]) + body


def connected(broker):
    """The gateway may still be starting: ask until it answers."""
    waiting = threading.Event()
    while True:
        try:
            return socket.create_connection((broker, 1883), timeout=5)
        except OSError:
            waiting.wait(AGAIN_S)


def packets(stream):
    """(first byte, body) of each packet, until the broker hangs up."""
    while head := stream.read(1):
        size = shift = 0
        while True:
            (byte,) = stream.read(1)
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield head[0], stream.read(size)


def told(frames, fallen, topic, payload):
    """What there is to say about a message, None if nothing."""
    kind, _, node = topic.partition("/")
    if kind == "csi":
        frames[node] += 1
        return f"node {node}: {frames[node]} frames, rssi {payload['rssi']}" if frames[node] % EACH == 0 else None
    if payload["fall"] and node not in fallen:
        fallen.add(node)
        return f"node {node}: somebody has fallen"
    return None


def main(broker):
    frames, fallen = collections.Counter(), set()
    with connected(broker) as connection, connection.makefile("rb") as stream:
        connection.settimeout(None)
        connection.sendall(packet(0x10, text("MQTT") + bytes([4, 2, 0, 0]) + text("cloud")))
        connection.sendall(packet(0x82, b"\0\1" + b"".join(text(topic) + b"\0" for topic in TOPICS)))
        for head, body in packets(stream):
            if head == 0x90:
                print("cloud: subscribed", flush=True)
            if head >> 4 != 3:
                continue
            size = int.from_bytes(body[:2], "big")
            line = told(frames, fallen, body[2 : 2 + size].decode(), json.loads(body[2 + size :]))
            if line:
                print(line, flush=True)
    sys.exit("cloud: the broker has hung up")


if __name__ == "__main__":
    main(sys.argv[1])
