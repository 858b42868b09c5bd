"""Reports: tables, figures and the audit, made from the files of `evaluate`.

Nothing here imports torch, mlflow, the models or the data, so that results rebuild on any machine.
"""
