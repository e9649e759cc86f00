"""Measurements on private, real servers. Invariant: rates are printed as ratios to another program on the same server
in the same run, because a figure alone says more about the machine; and a rate counts only when the rows are right.
"""
