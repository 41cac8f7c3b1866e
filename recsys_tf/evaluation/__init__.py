"""Room 5: metrics over the whole catalogue, baselines, intervals and the report."""
