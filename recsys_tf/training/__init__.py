"""Room 4: fitting a model on a prepared data set, and the record that a run leaves behind."""
