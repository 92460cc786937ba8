"""Review: the local page on which people look at labels, judge them and correct them."""
