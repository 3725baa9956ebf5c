"""Ask once, as an application starts, which databases it has, and what is missing in them."""
