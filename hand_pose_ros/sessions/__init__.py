"""Sessions: recorded bags with their rig and labels, as all tools after recording use them."""
