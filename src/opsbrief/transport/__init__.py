"""The only modules that touch the outside: each call under a deadline, each answer under a cap."""
