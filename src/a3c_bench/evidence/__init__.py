"""What backs the claims: reproducibility, faults, speed."""
