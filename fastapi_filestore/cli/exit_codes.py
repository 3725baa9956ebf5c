"""Say how a command went in a number, for the shell."""

ALL_IS_WELL, FOUND, WRONG_USE, UNAVAILABLE, UNCHECKED, INTERRUPTED, UNREAD = 0, 1, 2, 3, 4, 130, 141
EXIT_CODES = """exit codes:
  0    all is well
  1    an audit found something, fixed or not; a sweep could not delete something; a check found something wrong
  2    the command can't be run as it was given or set up; a check could not read the settings
  3    the database can't be used
  4    an audit found nothing where it looked, but a store did not let it see all
  130  interrupted
  141  nobody reads what it prints any more"""
