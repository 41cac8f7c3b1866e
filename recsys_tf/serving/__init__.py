"""Room 6: signatures, export, the local server and the ways to ask it."""
