"""The studio: one page and a job API, for people who never open a node graph.

Two processes share a folder: a server (`server`) that takes photographs and answers, and a
worker (`worker`) that colours them, so that no photograph can take the page down with it.
Who is asking is told by the gateway in front.
"""
