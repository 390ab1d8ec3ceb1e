"""The commands; click lives here and nowhere else."""
