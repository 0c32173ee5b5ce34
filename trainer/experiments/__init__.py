"""Many trainings: series over seeds, searches, and the rows they leave."""
