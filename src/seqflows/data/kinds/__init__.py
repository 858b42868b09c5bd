"""How each kind of data is prepared: a module a kind, as `seqflows.kinds` lists them."""
