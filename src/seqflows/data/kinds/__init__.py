"""Preparation of each kind of data: one module per kind, listed in `seqflows.kinds`."""
