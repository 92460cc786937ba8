"""Hand models: safe model files, the MANO layer, fast kinematics and fitting."""
