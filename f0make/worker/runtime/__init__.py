"""What runs inside the interpreter of a python step. Nothing here is imported by f0make itself, only started.

Any Python from 3.9 on must be able to run it, and none of its modules may import a module that a workspace could
shadow (`json`, `traceback`, `signal`, …): the step is to find its interpreter as `python` in its workspace would
have it. So it uses `sys`, `os` and modules in C alone, and is known as `_f0make` there, beside whatever `f0make`
the interpreter may have.
"""
