"""Checks of recorded sessions: losses, clocks, images, calibration; and a page that shows them."""
