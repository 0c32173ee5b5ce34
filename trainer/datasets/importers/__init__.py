"""Importers: what others recorded, read from a path the user gives, into the dataset format."""
