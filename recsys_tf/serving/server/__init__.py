"""A small local server that answers TensorFlow Serving's REST paths for any SavedModel."""
