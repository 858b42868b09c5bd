"""The content of params.yaml: typed blocks, the rules that expand its entries, and the checks of the whole."""
