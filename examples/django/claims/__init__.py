"""Claims for expenses: employees file them, somebody approves them, the bank pays."""
