"""What is known only from the texts of all systems of a table: scores, errors, p-values, and sheets for raters."""
