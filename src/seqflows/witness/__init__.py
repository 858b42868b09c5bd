"""Numbers of the papers that cannot be, or that no reader can interpret, each with a computation that shows it."""
