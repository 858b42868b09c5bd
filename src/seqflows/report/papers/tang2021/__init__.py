"""Tang et al. 2021, "Continuous Language Generative Flow": the flows and their densities (tables 1 to 4)."""
