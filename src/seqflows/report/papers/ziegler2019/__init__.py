"""Ziegler & Rush 2019, "Latent Normalizing Flows for Discrete Sequences"."""
