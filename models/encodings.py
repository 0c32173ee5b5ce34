"""How scans stand in the records of a topic; no more than the names, so that a command line need load nothing else."""

from typing import Literal

Encoding = Literal["json", "packed"]
"""A record a scan (`models.messages`), or packed frames of many (`models.frames`)."""
