"""The simulated head rig: moving hands, one renderer, four sensor models."""
