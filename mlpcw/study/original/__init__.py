"""The numbers of 2016, the comparison with them, and what was done then as it was done."""
