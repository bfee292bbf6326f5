"""What is asked of the operating system.

==============  ================================================================
``atomic.py``   files written as a whole; a disk that takes no more
``rewrite.py``  the same file written over and over
``bounded.py``  reading what nobody vouches for
``locks.py``    who holds a folder
``crew.py``     the processes that work on one sweep, and on what
``command.py``  what all programs do after an error or a signal
``parent.py``   jobs in processes of their own, which end with that of their sweep
``signals.py``  SIGINT, SIGTERM, SIGHUP: what they end, and when
``stdout.py``   standard output whose reader has left
``memory.py``   freed memory that is kept, garbage that is not looked for
==============  ================================================================
"""
