"""Scores of written texts against one reference each, and the errors of their differences between systems."""
