"""Importers: public data, read from a path the user gives, into the dataset format."""
