"""What exists and what things are worth: frozen, validated records and pure formulas."""
