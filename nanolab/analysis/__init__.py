"""What every assay needs: spectra, fits, budgets, cautions, verdicts."""
