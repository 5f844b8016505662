"""Code shared by the apps: database, encryption, failpoints, API pieces, redaction."""
