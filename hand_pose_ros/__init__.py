"""Metric 3D hand poses from thermal, near-infrared, depth and RGB cameras, with or without ROS."""

from pkgutil import extend_path

# Generated messages live in the installation, own modules in the checkout: one package.
__path__ = extend_path(__path__, __name__)
__version__ = '0.1.0'
