"""Datasets on disk: the format, the labels, the splits and the importers.

Read one with `trainer.datasets.dataset.Dataset.open`, write one with `trainer.datasets.writer.DatasetWriter`.
"""
