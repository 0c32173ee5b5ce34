"""The streaming worker: scans from Kafka in; defect probabilities and alerts out."""

from importlib.metadata import version

__version__ = version("strandwatch")
