"""The exception whose message is meant for the user."""


class UserError(Exception):
    """An error that the user can correct: one line that says what is wrong and what to do.

    Commands print only the message and exit with code 2; library code lets it propagate.
    """
