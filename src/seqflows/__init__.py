"""seqflows: normalizing flows for sequences, reproduced and audited."""

__version__ = "0.1.0"
