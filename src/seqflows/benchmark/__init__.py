"""How fast seqflows is beside the authors' code, in numbers that carry over between machines."""
