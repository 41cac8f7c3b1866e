"""Room 1: raw logs become the two tables, by rules only; nothing in here is fitted to data."""
