"""What params.yaml may say: one typed block a thing, the three rules of its entries, and the checks of the whole."""
