"""Real OpenSSH servers for tests, each a small machine: its own network, processes, `/tmp`, `/home` and users.

`python -m tests.support.sshd 2` starts two and prints a hosts file for them, to try things by hand.
"""
