"""Names that code uses in ways that its instructions do not show."""
