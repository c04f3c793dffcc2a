"""Proves on a mounted file system that the machine image may be sold.

From a checkout: python3 docker/marketplace/check_instance /mnt
"""
