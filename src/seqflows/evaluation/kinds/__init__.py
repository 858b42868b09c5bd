"""How each kind of data is scored: a module for one or several kinds, as `seqflows.kinds` lists them."""
