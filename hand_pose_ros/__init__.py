"""Metric 3D hand poses from thermal, near-infrared, depth and RGB cameras, with and without ROS 2."""

from pkgutil import extend_path

# The generated messages live in the installation, own modules in the checkout: one package, two folders.
__path__ = extend_path(__path__, __name__)
__version__ = '0.1.0'
