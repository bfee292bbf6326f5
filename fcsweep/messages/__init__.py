"""What is said to people: errors, their wording, and no secret in either.

==================  ============================================================
``errors.py``       the errors that a user can fix
``wording.py``      one line, the nearest match, printable characters, values as written
``usual_names.py``  what others call our keys and options
``secrets.py``      texts without the passwords in them
==================  ============================================================
"""
