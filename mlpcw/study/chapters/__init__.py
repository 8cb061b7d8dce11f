"""The chapters of the report: conditions, figures, tables and texts, said once."""
