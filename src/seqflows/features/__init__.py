"""Features of words in their contexts from a pretrained encoder: the only code that knows transformers."""
