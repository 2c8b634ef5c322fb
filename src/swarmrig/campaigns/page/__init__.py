"""report.html of a campaign: the verdict and why, the matrix, what failed by what failed it, and where it was run.

The page is made of campaign.json and of what is there of the runs' directories, at any time, and needs no network and
no server. What the runs said is data to it: shown, never interpreted.
"""
