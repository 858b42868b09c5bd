"""Tang et al. 2021, "Continuous Language Generative Flow": densities of language, and questions (tables 1 to 6)."""
