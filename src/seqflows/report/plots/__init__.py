"""The kinds of figures, one module each, with ``draw(results, block) -> (figure, device)``."""
