"""`mesh demo`: three agents that do real work on this machine, with no model and no network.

The reader walks a folder and makes its texts searchable, the librarian answers questions from them, and the watchman
reports what the machine is busy with. They are written as anybody would write agents: the SDK, and nothing of ours
beside it.
"""
