"""Is a SavedModel fit to be published? It is loaded alone, answers as the training code does, and holds no user.

A folder that fails is never renamed into place: what serves now keeps serving.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from recsys_tf import KERAS_SWITCH
from recsys_tf.errors import InputError
from recsys_tf.serving.example_requests import Request

Array = npt.NDArray[Any]

_ALONE = Path(__file__).with_name("loaded_alone.py")
_TOLERANCE = 1e-5
# Text that may be an id: shorter runs stand in any file by chance.
_RUN = re.compile(rb"[A-Za-z0-9_.@-]{6,}")


def check_export(
    folder: Path, requests: Sequence[Request], expected: Sequence[Mapping[str, Array]], users: Iterable[str], known: str
) -> None:
    """Raise InputError, saying what is wrong, unless the SavedModel in `folder` may be published.

    expected: what the training code answers to each request. users: ids that must not stand in any file. known: all
    text of the catalogue and the vocabularies, in which a user's id is allowed, since it is an item's too.
    """
    foreign = foreign_ops(folder)
    if foreign:
        raise InputError(f"the SavedModel needs ops that are not TensorFlow's own: {', '.join(foreign)}", file=folder)
    leaked = leaked_users(folder, users, known)
    if leaked:
        raise InputError(f"the SavedModel holds ids of users: {', '.join(leaked[:3])}", file=folder)
    answers = asked_alone(folder, requests)
    for request, answer, right in zip(requests, answers, expected, strict=True):
        for name, values in right.items():
            if not _same(answer[name], values):
                raise InputError(
                    f"loaded alone, signature {request.signature} gives another {name} than the training code",
                    file=folder,
                )


def foreign_ops(folder: Path) -> list[str]:
    """Name the operations of a SavedModel that TensorFlow itself does not bring."""
    message = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return sorted({node.op for node in nodes if not hasattr(tf.raw_ops, node.op) and node.op not in functions})


def leaked_users(folder: Path, users: Iterable[str], known: str) -> list[str]:
    """Name the users whose id stands in a file of the folder, but not in the text that is known to be there."""
    allowed = set(_RUN.findall(known.encode("utf-8")))
    wanted = {user.encode("utf-8") for user in users if _RUN.fullmatch(user.encode("utf-8"))} - allowed
    found: set[bytes] = set()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found |= wanted & set(_RUN.findall(path.read_bytes()))
    return sorted(one.decode("utf-8") for one in found)


def asked_alone(folder: Path, requests: Sequence[Request]) -> list[dict[str, Array]]:
    """Ask a SavedModel in a process of its own, without our package and without a GPU.

    Raises InputError when it cannot be loaded or cannot answer there.
    """
    written = [
        {"signature": one.signature, "inputs": {name: _written(values) for name, values in one.inputs.items()}}
        for one in requests
    ]
    done = subprocess.run(
        [sys.executable, "-I", str(_ALONE), str(folder)],
        input=json.dumps(written),
        capture_output=True,
        text=True,
        check=False,
        # Which Keras we asked for is nothing that a server knows.
        env={name: value for name, value in os.environ.items() if name != KERAS_SWITCH},
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise InputError(f"the SavedModel cannot be used by TensorFlow alone: {reason[0]}", file=folder)
    found = json.loads(done.stdout)
    if found["modules"] or found["gpus"]:
        raise InputError(f"the process was not alone: {found['modules']}, {found['gpus']} GPUs", file=folder)
    return [{name: _read(value) for name, value in answer.items()} for answer in found["answers"]]


def _written(values: Array) -> dict[str, Any]:
    flat = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values.ravel().tolist()]
    return {"shape": list(values.shape), "values": flat}


def _read(written: dict[str, Any]) -> Array:
    values = written["values"]
    if any(isinstance(value, str) for value in values):
        array = np.empty(len(values), object)
        array[:] = [value.encode("latin-1") for value in values]
    else:
        array = np.array(values)
    return array.reshape(written["shape"])


def _same(got: Array, expected: Array) -> bool:
    if got.shape != expected.shape:
        return False
    if expected.dtype.kind == "f":
        return bool(np.allclose(got, expected, rtol=_TOLERANCE, atol=_TOLERANCE))
    return bool((got == expected).all())
