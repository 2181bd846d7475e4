"""What the diagnosis says of models with known faults, judged by the SQL that judges a lake."""
