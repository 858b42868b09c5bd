"""What people read: tables, figures and the audit, made from the files that `evaluate` wrote.

Nothing here imports torch, mlflow, the models or the data: the results rebuild on any laptop.
"""
