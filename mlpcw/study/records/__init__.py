"""What is kept of runs: types and files."""
