"""What is asked of the operating system.

==============  ================================================================
``atomic.py``   atomic writes, and errors of a full disk
``rewrite.py``  the same file written over and over
``bounded.py``  reading untrusted files, bounded
``locks.py``    who holds a folder
``crew.py``     the processes that work on one sweep, and on what
``command.py``  what all programs do after an error or a signal
``parent.py``   job processes that end when their sweep does
``signals.py``  SIGINT, SIGTERM, SIGHUP: what they end, and when
``stdout.py``   standard output whose reader has exited
``memory.py``   keeping freed memory, skipping garbage collection
==============  ================================================================
"""
