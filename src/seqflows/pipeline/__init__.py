"""The table of stages as DVC reads it, and what is made of it: adopted, planned, up to date."""
