"""Other texts for a given one: the context generators of Tang et al. 2021, section 3.3, and the stage ``rewrite``."""
