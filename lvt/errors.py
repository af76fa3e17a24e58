"""The one exception a user is meant to read; it knows nothing of command lines."""


class UserError(Exception):
    """Something the user can put right: one line that says what is wrong and what to do.

    Command lines print the message alone and exit with code 2; libraries let it propagate.
    """
