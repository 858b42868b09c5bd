"""Benchmarks of seqflows and of the authors' code, in units comparable between machines."""
