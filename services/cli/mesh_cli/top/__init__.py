"""`mesh top`: what runs and what goes through it, as it is now."""
