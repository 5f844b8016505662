"""Breaking one thing at a time, and measuring how long it shows."""
