"""The door as a textbook builds it: save through the ORM, `.delay()` in the request; the same server, DRF and rows."""
