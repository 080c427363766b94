"""Records in, one self-contained HTML page out. Nothing is computed here."""
