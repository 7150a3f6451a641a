"""Races of candidates: prompts, the race, the moment of choice, and what choosing is worth."""
