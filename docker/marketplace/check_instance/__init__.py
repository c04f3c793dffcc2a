"""Proves on a mounted file system that the machine image may be sold.

From a checkout, as root: sudo python3 docker/marketplace/check_instance /mnt
"""
