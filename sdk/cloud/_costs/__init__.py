"""What jobs cost: prices, and what they have used."""
