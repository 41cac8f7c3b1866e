"""Published figures: one small JSON file each, and the command that makes the README's tables from them."""
