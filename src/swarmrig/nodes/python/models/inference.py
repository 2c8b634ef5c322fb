"""Readings judged by a model from machine learning, on the node that has it: any classifier in the ONNX format.

The model takes the last readings of one sensor, `float[1, n]`, oldest first, and says `float[1, k]`: how sure it is of
each of k classes. Its metadata may have `labels`, the names of the classes, and `sensors`, the sensors that it is for,
both with commas in between; without, classes have numbers, and it judges all sensors.

It runs on the processor of this machine in one thread, so that the same readings give the same scores.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmrig.errors import MissingExtraError
from swarmrig.nodes.python.message import Message

if TYPE_CHECKING:
    from swarmrig.nodes.python.model import Model

MOST_READINGS = 4096
"""Readings that a model may want at once."""
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Environment variable that keeps the runtime from reporting to its maker, and from having files and threads for that.
It is read when the library is loaded."""
DIGITS = 6
"""Of a score; single precision has not many more."""
RESULT = "inference"
"""Type of the messages that results travel as."""
READING = "reading"


class Classifier:
    """A model that was found to be one. ValueError says what is wrong with it, MissingExtraError that it takes an
    extra."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._session = _open_session(file)
        self._input, self.window = _input_of(self._session, file)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.sensors = _names(metadata.get("sensors", ""))
        self.labels = _names(metadata.get("labels", ""))
        classes = len(self.scores([0.0] * self.window))
        if self.labels and len(self.labels) != classes:
            raise ValueError(f"{file} has {len(self.labels)} labels for {classes} classes")
        self.labels = self.labels or tuple(map(str, range(classes)))

    def scores(self, values: list[float]) -> list[float]:
        """How sure the model is of each class. ValueError when it says anything else."""
        import numpy

        try:
            (found,) = self._session.run(
                [self._session.get_outputs()[0].name], {self._input: numpy.array([values], dtype=numpy.float32)}
            )
            scores = [float(score) for score in numpy.asarray(found, dtype=numpy.float32).reshape(-1)]
        except Exception as error:  # the runtime has no error of its own for what models do
            raise ValueError(f"{self.file} cannot be run: {_first_line(error)}") from error
        if not scores:
            raise ValueError(f"{self.file} says nothing")
        return scores

    def judge(self, values: list[float]) -> tuple[str, float]:
        """The label of the likeliest class (the first of several), and its score."""
        scores = self.scores(values)
        best = max(range(len(scores)), key=scores.__getitem__)
        return self.labels[best], round(scores[best], DIGITS)


def check_inference(file: Path | None) -> None:
    """See before launch that there is such a model and that it runs. ValueError or MissingExtraError otherwise."""
    if file is not None:
        load_classifier(str(file), _stamp(file))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the payload of a result says, with `src`: whose reading it was."""

    src: str
    seq: Any
    sensor: str
    label: str
    score: float


class Inference:
    """Judges readings on behalf of a node: says so on its console, and counts `inferences` and `inferences_LABEL`."""

    def __init__(self, node: Model, file: Path) -> None:
        self._node = node
        self._classifier = load_classifier(str(file), _stamp(file))
        self._windows: dict[tuple[str, str], deque[float]] = {}
        node.log(f"inference: {file.name}, {self._classifier.window} readings to {', '.join(self._classifier.labels)}")

    def results(self, src: str, payload: Any) -> Iterator[dict[str, Any]]:
        """Payloads of what there is to say about a reading of `src`; nothing before there are enough of its sensor, nor
        for what is no reading, or has been judged."""
        values = payload.get("values") if isinstance(payload, Mapping) else None
        if not isinstance(values, Mapping) or payload.get("judged"):
            return
        for sensor, value in values.items():
            judged = self._judged(src, payload.get("seq"), str(sensor), value)
            if judged is not None:
                self._tell(judged)
                yield {field: getattr(judged, field) for field in judged.__slots__}

    def results_of(self, message: Message) -> Iterator[dict[str, Any]]:
        """The same for a reading that came as a message, also through a gateway."""
        if message.type != READING:
            return
        payload: Any = message.payload
        src = message.src
        if isinstance(payload, Mapping) and "via" in payload:
            payload, src = payload.get("payload"), str(payload.get("src"))
        yield from self.results(src, payload)

    def _judged(self, src: str, seq: Any, sensor: str, value: Any) -> _Judged | None:
        classifier = self._classifier
        if (classifier.sensors and sensor not in classifier.sensors) or not isinstance(value, int | float):
            return None
        window = self._windows.setdefault((src, sensor), deque(maxlen=classifier.window))
        window.append(float(value))
        if len(window) < classifier.window:
            return None
        return _Judged(src, seq, sensor, *classifier.judge(list(window)))

    def _tell(self, judged: _Judged) -> None:
        self._node.count("inferences")
        self._node.count(f"inferences_{re.sub('[^A-Za-z0-9]+', '_', judged.label)}")
        said = f"{judged.label} {judged.score:.{DIGITS}f}"
        self._node.log(f"inference: {judged.src} {judged.sensor} #{judged.seq}: {said}")


@lru_cache(maxsize=16)
def load_classifier(file: str, stamp: tuple[int, int]) -> Classifier:  # noqa: ARG001 - of a changed file there is another
    """The classifier of a file, one for all nodes of a process."""
    return Classifier(Path(file))


def _stamp(file: Path) -> tuple[int, int]:
    """What changes when the file does. ValueError when it is not there."""
    try:
        status = file.stat()
    except OSError as error:
        raise ValueError(f"the model {file} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


def _open_session(file: Path) -> Any:
    os.environ[NO_TELEMETRY] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("a node that judges readings", "ml") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say comes as an exception
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has an exception for each code of its own
        raise ValueError(f"{file} is no ONNX model: {_first_line(error)}") from error


def _input_of(session: Any, file: Path) -> tuple[str, int]:
    """Name of the input, and how many readings it takes."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    batch, window = (1, *shape)[-2:] if shape else (0, 0)
    fits = len(shape) == 2 and inputs[0].type == "tensor(float)" and not (isinstance(batch, int) and batch != 1)
    if not fits or not isinstance(window, int) or not 1 <= window <= MOST_READINGS:
        seen = ", ".join(f"{each.type}{each.shape}" for each in inputs)
        raise ValueError(f"{file}: expected one input tensor(float)[1, n], n at most {MOST_READINGS}, seen {seen}")
    return inputs[0].name, window


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
