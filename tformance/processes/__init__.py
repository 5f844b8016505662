"""The processes of one machine: web, workers and beat, started in order, stopped warm, with nothing left behind."""
