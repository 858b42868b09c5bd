"""The audited papers, a folder each: printed tables and prose as data, claims as code."""
