"""Representation learning on e-commerce user-behaviour sequences, from a raw log to TensorFlow Serving."""

import os
import sys

__version__ = "0.1.0"

# TensorFlow Recommenders works with Keras 2 only, and TensorFlow decides which Keras it is when it is imported.
KERAS_SWITCH = "TF_USE_LEGACY_KERAS"
if "tensorflow" in sys.modules and os.environ.get(KERAS_SWITCH) != "1":
    raise ImportError("import recsys_tf before tensorflow, or set TF_USE_LEGACY_KERAS=1: tf.keras must be Keras 2")
os.environ[KERAS_SWITCH] = "1"
# On a machine without a GPU, TensorFlow reports at start-up, as an error, that it found none.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
