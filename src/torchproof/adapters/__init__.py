"""Trainees made of what a library trains: a Lightning module, a Hugging Face Trainer."""
