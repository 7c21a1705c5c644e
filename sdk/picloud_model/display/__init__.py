"""How the documentation shows the model."""
