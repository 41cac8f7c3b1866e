"""Room 2: the split comes first; filters, vocabularies and scalers are fitted on its training side."""
