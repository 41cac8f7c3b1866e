"""Load a SavedModel in a process that has TensorFlow and nothing of ours, sees no GPU, and ask its signatures.

Run as a script, never imported: `python -I loaded_alone.py FOLDER < requests.json > answers.json`. A request names a
signature and holds its inputs; a tensor is {"shape": […], "values": flat list}, bytes one character each (Latin-1).
"""

import json
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tensorflow as tf


def read_tensor(written: dict[str, list[object]], spec: tf.TensorSpec) -> tf.Tensor:
    """Turn a written tensor into one of the type that the signature wants."""
    values = [value.encode("latin-1") if isinstance(value, str) else value for value in written["values"]]
    return tf.reshape(tf.constant(values, spec.dtype), written["shape"])


def write_tensor(tensor: tf.Tensor) -> dict[str, list[object]]:
    """Turn an output into what JSON can hold."""
    values = tensor.numpy().ravel().tolist()
    plain = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values]
    return {"shape": tensor.shape.as_list(), "values": plain}


def main() -> None:
    """Answer every request on standard input, and say what else this process has seen."""
    signatures = tf.saved_model.load(sys.argv[1]).signatures
    answers = []
    for request in json.load(sys.stdin):
        signature = signatures[request["signature"]]
        specs = signature.structured_input_signature[1]
        inputs = {name: read_tensor(value, specs[name]) for name, value in request["inputs"].items()}
        answers.append({name: write_tensor(value) for name, value in signature(**inputs).items()})
    foreign = sorted(
        {name.split(".")[0] for name in sys.modules} & {"recsys_tf", "tf_keras", "tensorflow_recommenders"}
    )
    json.dump({"answers": answers, "modules": foreign, "gpus": len(tf.config.list_physical_devices("GPU"))}, sys.stdout)


if __name__ == "__main__":
    main()
