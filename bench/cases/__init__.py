"""What is measured: one module for each question, one generator of rows for each measure."""
