"""The door: what becomes of a post until it is answered."""
