"""What an application asks once, as it starts: which databases it has, and what is missing in them."""
