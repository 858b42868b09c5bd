"""Formats of raw files: each reader gives plain values, and says where a file is not what it should be."""
