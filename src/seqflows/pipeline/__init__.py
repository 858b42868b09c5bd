"""Engines of the table of stages: dvc.yaml, adoption from Snakemake, plans and status."""
