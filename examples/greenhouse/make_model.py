"""Makes greenhouse.onnx: a logistic regression that tells from the last eight readings of a thermometer whether it gets
warm. Trained here, from chance with a fixed seed; the bytes of the file are the same each time.

    python make_model.py [FILE]

ONNX is a Protocol Buffers format, and this model takes three of its messages' fields each; so they are written by hand.
Field numbers: onnx.proto of the ONNX project (IR version 8, operator set 13).
"""

import math
import random
import struct
import sys
from pathlib import Path

WINDOW = 8
LABELS = ("normal", "warm")
WARM = 22.5
"""Degrees; a window whose latter half is above on average is warm."""
FLOAT = 1
ROUNDS, RATE = 400, 0.5


def examples(count=600):
    """Windows of temperatures that wander like those of a real thermometer, and whether they are warm."""
    chance = random.Random(2025)
    for _ in range(count):
        value, drift = chance.uniform(17.0, 27.0), chance.gauss(0.0, 0.2)
        window = []
        for _ in range(WINDOW):
            value += drift + chance.gauss(0.0, 0.4)
            window.append(value)
        yield window, sum(window[WINDOW // 2 :]) / (WINDOW // 2) > WARM


def train():
    """Weights and bias of the regression, by gradient descent; rounded, so that no machine's last digit shows."""
    data = [([(value - WARM) / 4 for value in window], float(warm)) for window, warm in examples()]
    weights, bias = [0.0] * WINDOW, 0.0
    for _ in range(ROUNDS):
        steps, step = [0.0] * WINDOW, 0.0
        for window, warm in data:
            error = 1 / (1 + math.exp(-bias - sum(map(float.__mul__, weights, window)))) - warm
            steps = [old + error * value for old, value in zip(steps, window, strict=True)]
            step += error
        weights = [old - RATE * each / len(data) for old, each in zip(weights, steps, strict=True)]
        bias -= RATE * step / len(data)
    weights = [round(weight / 4, 4) for weight in weights]  # back to degrees
    return weights, round(bias - WARM * sum(weights), 4)


def varint(number):
    """Seven bits a byte, low ones first."""
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def field(number, value):
    """A field of a message: a whole number, a text, or bytes (a message within)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name, shape, values):
    dims = b"".join(field(1, size) for size in shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, struct.pack(f"<{len(values)}f", *values))


def described(name, shape):
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def node(operator, inputs, output):
    names = b"".join(field(1, name) for name in inputs)
    return names + field(2, output) + field(4, operator)


def model(weights, bias):
    """One column for each class: the regression speaks for the second one, and nothing for the first."""
    columns = [number for weight in weights for number in (0.0, weight)]
    graph = (
        field(1, node("MatMul", ("readings", "weights"), "product"))
        + field(1, node("Add", ("product", "bias"), "sums"))
        + field(1, node("Softmax", ("sums",), "scores"))
        + field(2, "greenhouse")
        + field(5, tensor("weights", (WINDOW, 2), columns))
        + field(5, tensor("bias", (2,), (0.0, bias)))
        + field(11, described("readings", (1, WINDOW)))
        + field(12, described("scores", (1, 2)))
    )
    metadata = {"labels": ",".join(LABELS), "sensors": "temperature"}
    notes = b"".join(field(14, field(1, key) + field(2, value)) for key, value in metadata.items())
    return field(1, 8) + field(7, graph) + field(8, field(2, 13)) + notes


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("greenhouse.onnx")
    place.write_bytes(model(*train()))
