"""What GitHub delivered and we have not: found in its log of deliveries, and brought into the inbox."""
