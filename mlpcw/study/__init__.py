"""The study: what is trained, kept, compared with 2016 and drawn."""
