"""Scoring of each kind of data: a module for one or several kinds, listed in `seqflows.kinds`."""
