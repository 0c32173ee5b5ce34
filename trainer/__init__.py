"""The offline trainer: a simulated or recorded line in; judged, exported model bundles out."""
