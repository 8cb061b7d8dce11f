"""Draws and words what it is handed; knows no arm."""
