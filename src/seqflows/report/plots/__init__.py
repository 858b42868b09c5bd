"""One file a kind of figure: ``draw(results, block) -> (figure, device)``."""
