"""Evaluation: likelihoods with their errors, samples, what figures draw, generation times."""
