"""Room 3: Keras models, tensors in and tensors out."""
