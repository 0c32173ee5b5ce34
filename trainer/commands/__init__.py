"""The commands of `trainer`, one file each. Heavy libraries are imported inside the commands."""
