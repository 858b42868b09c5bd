"""Training with other contexts: which of the rewritten ones a trained run keeps."""
