"""Extensions to copy: each file is a whole one."""
