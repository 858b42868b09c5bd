"""Readers of raw formats: each returns plain values and raises a `Problem` with the place of an error."""
