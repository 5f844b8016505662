"""What every part of the REST API keeps to: its query parameters, filters and pages."""
