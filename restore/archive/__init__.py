"""Batches over many reels, unattended: what is to be done, what was done, and the fixity of what came out.

`reels` says which sources become which outputs (a folder, a glob, or a manifest), `ledger` remembers how each went,
`batch` works through them in child processes (`worker`), so that a reel which crashes a decoder stops nothing else.
"""
