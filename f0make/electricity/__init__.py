"""What a kilowatt hour of a country's electricity emits."""
