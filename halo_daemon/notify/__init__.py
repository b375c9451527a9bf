"""Who is told of what: events, routes, the outbox, and the targets that take deliveries."""
