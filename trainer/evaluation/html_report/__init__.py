"""An evaluation as one self-contained HTML page with pictures, for who runs the process and who built the model."""
