"""Evaluation: likelihoods with standard errors, samples, data of figures, generation times."""
